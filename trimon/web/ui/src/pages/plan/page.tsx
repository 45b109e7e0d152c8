import { useRef, useState } from "preact/hooks";
import { ask } from "../../api/client";
import { Page } from "../../components/layout/page";
import { Failure, Loading } from "../../components/states";
import type { Plan } from "./model";
import { PlanView } from "./planview";
import "../../styles/plan.css";
import "../../styles/query.css";

interface Applied {
  outcome: string;
  reason: string;
  warnings: string[];
  plan: Plan;
}

type State =
  | { kind: "empty" }
  | { kind: "busy"; what: string }
  | { kind: "failed"; error: unknown }
  | { kind: "planned"; plan: Plan; text: string }
  | { kind: "applied"; applied: Applied };

function Outcome({ applied }: { applied: Applied }) {
  const isKept = applied.outcome === "applied";
  return (
    <>
      <p class={isKept ? "notice good" : "notice bad"} role="status">
        {isKept
          ? "The configuration is in effect, and nothing got worse while it was watched."
          : `The configuration was taken back: ${applied.reason}`}
      </p>
      {applied.warnings.map((text) => (
        <p class="notice warn" key={text}>
          {text}
        </p>
      ))}
      <PlanView plan={applied.plan} />
    </>
  );
}

/** Shows what another configuration would change, and takes it over with a way back. */
export default function PlanPage() {
  const [text, setText] = useState("");
  const [name, setName] = useState("prometheus.yml");
  const [state, setState] = useState<State>({ kind: "empty" });
  const file = useRef<HTMLInputElement>(null);
  const open = async (chosen: File | undefined) => {
    if (!chosen) return;
    setName(chosen.name);
    setText(await chosen.text());
    setState({ kind: "empty" });
  };
  const plan = async () => {
    setState({ kind: "busy", what: "Planning" });
    try {
      const answer = await ask<Plan>("/config/plan", { name }, { body: text });
      setState({ kind: "planned", plan: answer.data, text });
    } catch (error) {
      setState({ kind: "failed", error });
    }
  };
  const apply = async (wanted: string) => {
    if (
      !window.confirm(
        "Take this configuration over? It is watched for a minute, and taken back if targets or rules fail.",
      )
    )
      return;
    setState({ kind: "busy", what: "Applying, and watching for a minute" });
    try {
      const answer = await ask<Applied>("/config/apply", { name, watch: "1m" }, { body: wanted });
      setState({ kind: "applied", applied: answer.data });
    } catch (error) {
      setState({ kind: "failed", error });
    }
  };
  return (
    <Page
      title="Plan a change"
      about="Give a whole configuration file: the server checks it and says which targets, series and rules would come, go or change. Nothing happens until you apply it, and it is taken back if things get worse."
    >
      <form
        class="plan-form"
        onSubmit={(event) => {
          event.preventDefault();
          plan();
        }}
      >
        <textarea
          aria-label="Configuration file"
          placeholder={"global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: ..."}
          value={text}
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <div class="row">
          <button type="submit" class="primary" disabled={!text.trim() || state.kind === "busy"}>
            Plan
          </button>
          <button type="button" onClick={() => file.current?.click()}>
            Open a file
          </button>
          <input
            ref={file}
            type="file"
            class="visually-hidden"
            tabIndex={-1}
            aria-label="File"
            accept=".yml,.yaml"
            onChange={(event) => open(event.currentTarget.files?.[0])}
          />
          {state.kind === "planned" && state.plan.changes && state.text === text ? (
            <button type="button" onClick={() => apply(state.text)}>
              Apply and watch
            </button>
          ) : null}
        </div>
      </form>
      {state.kind === "busy" ? (
        <>
          <p role="status">{state.what} …</p>
          <Loading />
        </>
      ) : null}
      {state.kind === "failed" ? <Failure error={state.error} /> : null}
      {state.kind === "planned" ? <PlanView plan={state.plan} /> : null}
      {state.kind === "applied" ? <Outcome applied={state.applied} /> : null}
    </Page>
  );
}
