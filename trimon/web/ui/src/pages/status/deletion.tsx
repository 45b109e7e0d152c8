import { useState } from "preact/hooks";
import { ask, askText, messageOf } from "../../api/client";
import { Panel } from "../../components/layout/page";
import { localTime } from "../../state/preferences";
import { type Labels, seriesName } from "../../values/labels";
import { count } from "../../values/numbers";
import { formatTime, parseTyped } from "../../values/time/times";
import { expected, type PlanNode } from "../query/explain/plan";
import "../../styles/deletion.css";

const SERIES_MAX = 10_000;
const SHOWN = 20;
const STEPS = 1000;

interface Wanted {
  selector: string;
  startMs: number | undefined;
  endMs: number | undefined;
}

interface Preview {
  wanted: Wanted;
  series: Labels[];
  samples: number;
}

function times({ startMs, endMs }: Wanted): { start?: number; end?: number } {
  return {
    ...(startMs === undefined ? {} : { start: startMs / 1000 }),
    ...(endMs === undefined ? {} : { end: endMs / 1000 }),
  };
}

/** What a deletion would take away: the series, and at most how many samples. */
async function look(wanted: Wanted, lowestMs: number): Promise<Preview> {
  const { selector } = wanted;
  const startMs = wanted.startMs ?? lowestMs;
  const endMs = wanted.endMs ?? Date.now();
  const found = await ask<Labels[]>(
    "/series",
    { "match[]": [selector], ...times(wanted), limit: SERIES_MAX + 1 },
    { post: true },
  );
  const range = {
    start: startMs / 1000,
    end: endMs / 1000,
    step: Math.max(1, (endMs - startMs) / 1000 / STEPS),
  };
  const plan = await ask<{ plan: PlanNode }>("/explain", { query: selector, ...range }, { post: true });
  return { wanted, series: found.data, samples: expected(plan.data.plan).samples };
}

function number(series: number): string {
  if (series > SERIES_MAX) return `more than ${count(SERIES_MAX)} series`;
  return series === 1 ? "1 series" : `${count(series)} series`;
}

function Confirmation({ preview, onDone }: { preview: Preview; onDone: (said: string) => void }) {
  const { series, samples, wanted } = preview;
  const [typed, setTyped] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const phrase = `delete ${series.length > SERIES_MAX ? "all" : series.length}`;
  const remove = async () => {
    setBusy(true);
    try {
      await askText(
        "/api/v1/admin/tsdb/delete_series",
        { "match[]": [wanted.selector], ...times(wanted) },
        { post: true },
      );
      onDone(
        `The samples of ${number(series.length)} are deleted. Their space on disk is freed by cleaning up.`,
      );
    } catch (reason) {
      setError(messageOf(reason));
      setBusy(false);
    }
  };
  if (!series.length) return <p role="status">No series matches in these times: nothing would be deleted.</p>;
  return (
    <form
      class="deletion-check"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed.trim() === phrase) void remove();
      }}
    >
      <p role="status">
        <strong>{number(series.length)}</strong> and at most {count(samples)} samples
        {wanted.startMs === undefined && wanted.endMs === undefined ? " of all times" : " of these times"}{" "}
        would be deleted. It cannot be undone. Targets that are still scraped make new ones.
      </p>
      <ul>
        {series.slice(0, SHOWN).map((labels) => (
          <li key={seriesName(labels)}>
            <code>{seriesName(labels)}</code>
          </li>
        ))}
        {series.length > SHOWN ? <li class="muted">and {count(series.length - SHOWN)} more</li> : null}
      </ul>
      <div class="row">
        <label class="row">
          Type <code>{phrase}</code> to confirm
          <input
            value={typed}
            autocomplete="off"
            aria-label="Confirmation"
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="danger" disabled={typed.trim() !== phrase || isBusy}>
          Delete
        </button>
      </div>
      {error ? (
        <p class="bad-text" role="alert">
          {error}
        </p>
      ) : null}
    </form>
  );
}

function Cleaning({ onDone }: { onDone: (said: string) => void }) {
  const [isBusy, setBusy] = useState(false);
  const clean = async () => {
    setBusy(true);
    try {
      await askText("/api/v1/admin/tsdb/clean_tombstones", {}, { post: true });
      onDone("Blocks were written anew without what is deleted.");
    } catch (reason) {
      onDone(messageOf(reason));
    }
    setBusy(false);
  };
  return (
    <button
      type="button"
      onClick={clean}
      disabled={isBusy}
      title="Writes blocks anew without what is deleted, which frees their space on disk"
    >
      {isBusy ? "Cleaning up" : "Clean up deletions"}
    </button>
  );
}

/** Series deleted from the page: what would go is shown first, and has to be confirmed in writing. */
export function DeletionPanel({ lowestMs }: { lowestMs: number }) {
  const [selector, setSelector] = useState("");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [preview, setPreview] = useState<Preview | undefined>();
  const [said, setSaid] = useState("");
  const local = localTime.value;
  const wrong = [from, to].some((text) => text.trim() && parseTyped(text, local) === undefined);
  const change = (set: (text: string) => void) => (event: { currentTarget: HTMLInputElement }) => {
    set(event.currentTarget.value);
    setPreview(undefined);
    setSaid("");
  };
  const show = async () => {
    setPreview(undefined);
    setSaid("");
    try {
      setPreview(
        await look(
          { selector: selector.trim(), startMs: parseTyped(from, local), endMs: parseTyped(to, local) },
          lowestMs,
        ),
      );
    } catch (error) {
      setSaid(messageOf(error));
    }
  };
  const done = (text: string) => {
    setPreview(undefined);
    setSaid(text);
  };
  const hint = formatTime(Date.now() - (Date.now() % 3_600_000), local);
  return (
    <Panel title="Delete series" actions={<Cleaning onDone={done} />}>
      <form
        class="row deletion"
        onSubmit={(event) => {
          event.preventDefault();
          if (selector.trim() && !wrong) void show();
        }}
      >
        <input
          class="deletion-selector"
          value={selector}
          onInput={change(setSelector)}
          aria-label="Selector of the series"
          placeholder={'Selector, such as up{job="old"}'}
          spellcheck={false}
        />
        <input
          value={from}
          onInput={change(setFrom)}
          aria-label={`From, ${local ? "local time" : "UTC"}`}
          placeholder="from the beginning"
          title={`Such as ${hint}`}
        />
        <input
          value={to}
          onInput={change(setTo)}
          aria-label={`To, ${local ? "local time" : "UTC"}`}
          placeholder="to the end"
          title={`Such as ${hint}`}
        />
        <button type="submit" disabled={!selector.trim() || wrong}>
          Show what would go
        </button>
      </form>
      {wrong ? <p class="bad-text">A time is written like {hint}.</p> : null}
      {preview ? <Confirmation preview={preview} onDone={done} /> : null}
      {said ? <p role="status">{said}</p> : null}
    </Panel>
  );
}
