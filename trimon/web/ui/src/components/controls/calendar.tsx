import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { localTime } from "../../state/preferences";
import { shiftDay, shiftMonth, weeksOf } from "../../values/time/calendar";
import { formatTime, parseTyped } from "../../values/time/times";
import { Icon } from "../icon";

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const MOVES: Record<string, (day: string) => string> = {
  ArrowLeft: (day) => shiftDay(day, -1),
  ArrowRight: (day) => shiftDay(day, 1),
  ArrowUp: (day) => shiftDay(day, -7),
  ArrowDown: (day) => shiftDay(day, 7),
  PageUp: (day) => shiftMonth(day, -1),
  PageDown: (day) => shiftMonth(day, 1),
};

/** A month whose days are chosen by a click or by arrows and Enter, and the time of the day. */
export function Calendar({ timeMs, onChange }: { timeMs: number; onChange: (timeMs: number) => void }) {
  const local = localTime.value;
  const [chosen = "", clock = ""] = formatTime(timeMs - (timeMs % 1000), local).split(" ");
  const [today = ""] = formatTime(Date.now(), local).split(" ");
  const [shown, setShown] = useState(chosen);
  const grid = useRef<HTMLTableElement>(null);
  const isMoved = useRef(false);
  useLayoutEffect(() => {
    if (isMoved.current) grid.current?.querySelector<HTMLElement>("[tabindex='0']")?.focus();
    isMoved.current = false;
  }, [shown]);
  const set = (day: string, time: string) => {
    const found = parseTyped(`${day} ${time}`, local);
    if (found !== undefined) onChange(found);
  };
  const month = new Date(`${shown}T00:00:00Z`).toLocaleString("en-US", {
    month: "long",
    year: "numeric",
    timeZone: "UTC",
  });
  return (
    <div class="calendar">
      <div class="calendar-head">
        <button
          type="button"
          class="plain"
          aria-label="Month before"
          onClick={() => setShown(shiftMonth(shown, -1))}
        >
          <Icon name="left" />
        </button>
        <strong aria-live="polite">{month}</strong>
        <button
          type="button"
          class="plain"
          aria-label="Month after"
          onClick={() => setShown(shiftMonth(shown, 1))}
        >
          <Icon name="right" />
        </button>
      </div>
      <table ref={grid} aria-label={month}>
        <thead>
          <tr>
            {WEEKDAYS.map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeksOf(shown).map((week) => (
            <tr key={week[0]}>
              {week.map((day) => (
                <td key={day}>
                  <button
                    type="button"
                    class={`plain day ${day.slice(0, 7) === shown.slice(0, 7) ? "" : "other"} ${day === today ? "today" : ""}`}
                    aria-label={day}
                    aria-pressed={day === chosen}
                    tabIndex={day === shown ? 0 : -1}
                    onClick={() => {
                      setShown(day);
                      set(day, clock);
                    }}
                    onKeyDown={(event) => {
                      const move = MOVES[event.key];
                      if (!move) return;
                      event.preventDefault();
                      isMoved.current = true;
                      setShown(move(day));
                    }}
                  >
                    {Number(day.slice(8))}
                  </button>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <label class="row">
        <span class="muted">{local ? "Local time" : "UTC"}</span>
        <input
          type="time"
          step="1"
          value={clock}
          aria-label="Time of the day"
          onChange={(event) => {
            const { value } = event.currentTarget;
            if (value) set(chosen, value.length === 5 ? `${value}:00` : value);
          }}
        />
      </label>
    </div>
  );
}
