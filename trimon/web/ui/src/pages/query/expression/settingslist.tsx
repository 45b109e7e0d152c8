import { Popover } from "../../../components/controls/popover";
import { SETTINGS } from "./settings";

/** Switches of the page of queries. */
export function SettingsButton() {
  return (
    <Popover button="Settings">
      {() => (
        <ul class="settings">
          {Object.values(SETTINGS).map(({ title, about, choice }) => (
            <li key={title}>
              <label class="check">
                <input
                  type="checkbox"
                  checked={choice.value}
                  onChange={(event) => {
                    choice.value = event.currentTarget.checked;
                  }}
                />
                <span>
                  {title}
                  {about ? <span class="muted setting-about">{about}</span> : null}
                </span>
              </label>
            </li>
          ))}
        </ul>
      )}
    </Popover>
  );
}
