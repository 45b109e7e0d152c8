import { useEffect, useId, useState } from "preact/hooks";
import { Calendar } from "../../components/controls/calendar";
import { Choice } from "../../components/controls/choice";
import { Popover } from "../../components/controls/popover";
import { Icon } from "../../components/icon";
import { localTime } from "../../state/preferences";
import { formatDuration, parseTypedDuration } from "../../values/time/durations";
import { formatTime, parseTyped } from "../../values/time/times";
import { type Panel, type Resolution, stepMs } from "./panels/panel";
import { roundedEnd } from "./panels/zoom";

interface Properties {
  panel: Panel;
  onChange: (change: Partial<Panel>) => void;
}

const RANGES_MS = [
  1, 10, 60, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_419_200,
  4_838_400, 15_724_800, 31_536_000, 63_072_000,
].map((seconds) => seconds * 1000);

/** A field for a text that must mean something: of what does not it says so, and changes nothing. */
function TypedField<T>({
  value,
  read,
  onChange,
  label,
  characters,
  hint,
  example = hint,
}: {
  value: string;
  /** What a text means; `meant` is not there for one that means nothing. */
  read: (text: string) => { meant: T } | undefined;
  onChange: (value: T) => void;
  label: string;
  characters: number;
  hint: string;
  example?: string;
}) {
  const [text, setText] = useState(value);
  const [isTold, setTold] = useState(false);
  const id = useId();
  useEffect(() => {
    setText(value);
    setTold(false);
  }, [value]);
  const isBad = text !== value && read(text) === undefined;
  const take = () => {
    const found = read(text);
    setTold(found === undefined && text !== value);
    if (found && text !== value) onChange(found.meant);
  };
  const isSaid = isBad && isTold;
  return (
    <span class="typed">
      <input
        value={text}
        aria-label={label}
        aria-invalid={isBad}
        aria-describedby={isSaid ? id : undefined}
        title={label}
        placeholder={hint}
        style={{ "--characters": characters }}
        onInput={(event) => setText(event.currentTarget.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          if (event.key === "Escape") setText(value);
        }}
      />
      {isSaid ? (
        <span class="typed-error" id={id} role="alert">
          “{text.trim()}” is not understood. Write it as {example}.
        </span>
      ) : null}
    </span>
  );
}

function typedDuration(text: string): { meant: number } | undefined {
  const found = parseTypedDuration(text);
  return found === undefined ? undefined : { meant: found };
}

/** An end that is empty, or said in words, is whatever is now. */
function typedEnd(text: string): { meant: number | undefined } | undefined {
  if (/^(now)?$/i.test(text.trim())) return { meant: undefined };
  const found = parseTyped(text, localTime.value);
  return found === undefined ? undefined : { meant: found };
}

export function RangeField({ panel, onChange }: Properties) {
  const other = (step: 1 | -1) => {
    const found =
      step > 0
        ? RANGES_MS.find((each) => each > panel.rangeMs)
        : RANGES_MS.findLast((each) => each < panel.rangeMs);
    if (found) onChange({ rangeMs: found });
  };
  return (
    <span class="joined">
      <button type="button" aria-label="Shorter range" onClick={() => other(-1)}>
        <Icon name="minus" />
      </button>
      <TypedField
        value={formatDuration(panel.rangeMs)}
        read={typedDuration}
        onChange={(rangeMs) => onChange({ rangeMs })}
        label="Range"
        characters={9}
        hint="1h30m"
      />
      <button type="button" aria-label="Longer range" onClick={() => other(1)}>
        <Icon name="plus" />
      </button>
    </span>
  );
}

export function EndField({ panel, onChange, label }: Properties & { label: string }) {
  const shift = (share: number) => {
    const endMs = (panel.endMs ?? Date.now()) + share * panel.rangeMs;
    onChange({ endMs: roundedEnd(endMs, panel.rangeMs) });
  };
  return (
    <span class="joined">
      <button type="button" aria-label="Earlier" onClick={() => shift(-0.5)}>
        <Icon name="left" />
      </button>
      <TypedField
        value={panel.endMs === undefined ? "" : formatTime(panel.endMs, localTime.value)}
        read={typedEnd}
        onChange={(endMs) => onChange({ endMs })}
        label={`${label}, ${localTime.value ? "local time" : "UTC"}`}
        characters={panel.endMs !== undefined && panel.endMs % 1000 ? 23 : 19}
        hint="now"
        example="2026-11-26 20:00:00, or leave it empty for now"
      />
      <Popover button={<Icon name="calendar" />} label="Choose the time in a calendar" isPlain={false}>
        {() => <Calendar timeMs={panel.endMs ?? Date.now()} onChange={(endMs) => onChange({ endMs })} />}
      </Popover>
      {panel.endMs === undefined ? null : (
        <button type="button" aria-label="Now" title="Now" onClick={() => onChange({ endMs: undefined })}>
          <Icon name="close" />
        </button>
      )}
      <button
        type="button"
        aria-label="Later"
        onClick={() => shift(0.5)}
        disabled={panel.endMs === undefined}
      >
        <Icon name="right" />
      </button>
    </span>
  );
}

const FIXED_S = [10, 30, 60, 300, 900, 3600];

function resolutionOf(text: string, panel: Panel): Resolution {
  if (text === "low" || text === "medium" || text === "high") return { type: "auto", density: text };
  if (text === "custom") return { type: "custom", stepMs: stepMs(panel) };
  return { type: "fixed", stepMs: Number(text) * 1000 };
}

export function ResolutionField({ panel, onChange }: Properties) {
  const { resolution } = panel;
  const value =
    resolution.type === "auto"
      ? resolution.density
      : resolution.type === "custom"
        ? "custom"
        : String(resolution.stepMs / 1000);
  const isOther = resolution.type === "fixed" && !FIXED_S.includes(resolution.stepMs / 1000);
  return (
    <span class="joined">
      <select
        aria-label="Resolution"
        title={`A point every ${formatDuration(stepMs(panel))}`}
        value={value}
        onChange={(event) => onChange({ resolution: resolutionOf(event.currentTarget.value, panel) })}
      >
        <option value="low">Low</option>
        <option value="medium">Medium</option>
        <option value="high">High</option>
        {FIXED_S.map((seconds) => (
          <option key={seconds} value={String(seconds)}>
            {formatDuration(seconds * 1000)}
          </option>
        ))}
        {isOther ? <option value={value}>{formatDuration(stepMs(panel))}</option> : null}
        <option value="custom">Custom</option>
      </select>
      {resolution.type === "custom" ? (
        <TypedField
          value={formatDuration(resolution.stepMs)}
          read={typedDuration}
          onChange={(step) => onChange({ resolution: { type: "custom", stepMs: step } })}
          label="Step"
          characters={7}
          hint="15s"
        />
      ) : null}
    </span>
  );
}

/** How the graph is drawn. */
export function DrawingControls({ panel, onChange }: Properties) {
  return (
    <>
      <Choice
        label="Drawing"
        value={panel.mode}
        choices={[
          ["lines", "Lines"],
          ["stacked", "Stacked"],
          ["heatmap", "Heatmap"],
        ]}
        onChange={(mode) => onChange({ mode })}
      />
      {panel.mode === "heatmap" ? null : (
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={panel.yMin !== undefined}
              onChange={(event) => onChange({ yMin: event.currentTarget.checked ? 0 : undefined })}
            />
            {panel.yMin ? `From ${panel.yMin}` : "From zero"}
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={panel.isLog}
              onChange={(event) => onChange({ isLog: event.currentTarget.checked })}
            />
            Logarithmic
          </label>
          <label class="check">
            <input
              type="checkbox"
              checked={panel.exemplars}
              onChange={(event) => onChange({ exemplars: event.currentTarget.checked })}
            />
            Exemplars
          </label>
        </>
      )}
    </>
  );
}
