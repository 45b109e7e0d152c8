import { render } from "preact";
import { App } from "./app/app";
import { guardTexts } from "./components/outside";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import "./styles/table.css";

guardTexts();
const place = document.getElementById("page");
if (place) render(<App />, place);
