import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import { useAsked } from "../../api/asked";
import { ask, askText, messageOf } from "../../api/client";
import { Badge } from "../../components/badge";
import { Icon } from "../../components/icon";
import { LabelChips } from "../../components/labels";
import { Scrolled } from "../../components/layout/scrolled";
import { Failure, Loaded, Loading } from "../../components/states";
import { Time } from "../../components/time";
import { TimeBar, TimeLegend } from "../../components/timebar";
import { may } from "../../state/server";
import { seriesName } from "../../values/labels";
import { bytes, count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { parseApiTime } from "../../values/time/times";
import { type Fault, isSameFault, type Scrape, scrapeParts, type Target, toneOf } from "./model";
import { PoolDetails } from "./poolconfig";
import { RelabelSteps } from "./relabelsteps";

const EVERY_MS = 5000;
const LINES_SHOWN = 500;

/** The text around the place of an error, with a mark below it. */
export function FaultText({ fault }: { fault: Fault }) {
  return (
    <figure class="fault">
      <figcaption>
        Line {count(fault.line)}, column {count(fault.column)}
      </figcaption>
      <Scrolled label="Text around the error">
        <pre>
          {fault.text}
          {"\n"}
          <span class="bad-text">{fault.mark}</span>
        </pre>
      </Scrolled>
    </figure>
  );
}

function Body({ target, scrape }: { target: Target; scrape: Scrape }) {
  const [isWhole, setWhole] = useState(false);
  const asked = useAsked(
    (signal) => askText(`/api/v1/targets/${target.id}/scrapes/${scrape.id}/body`, {}, { signal }),
    [target.id, scrape.id],
  );
  if (asked.error !== undefined) return <Failure error={asked.error} again={asked.again} />;
  if (asked.data === undefined) return <Loading />;
  const lines = asked.data.split("\n");
  const shown = isWhole ? lines : lines.slice(0, LINES_SHOWN);
  return (
    <>
      <Scrolled label="Body" kind="code-box">
        <pre>{shown.join("\n")}</pre>
      </Scrolled>
      {lines.length > shown.length ? (
        <button type="button" class="plain" onClick={() => setWhole(true)}>
          Show all {count(lines.length)} lines
        </button>
      ) : null}
    </>
  );
}

function Wrong({ scrape, before }: { scrape: Scrape; before: Scrape | undefined }) {
  if (!scrape.error) return null;
  // A list of the same error ten times over says no more than one.
  if (before && isSameFault(scrape, before)) return <p class="muted">The same error.</p>;
  return (
    <>
      <p class="bad-text">{scrape.error}</p>
      {scrape.fault ? <FaultText fault={scrape.fault} /> : null}
    </>
  );
}

function ScrapeRow({
  scrape,
  before,
  target,
  slowestS,
}: {
  scrape: Scrape;
  /** The one above it in the list. */
  before: Scrape | undefined;
  target: Target;
  slowestS: number;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <li class="scrape">
      <div class="scrape-line">
        <span>
          <Time timeMs={parseApiTime(scrape.time)} />
        </span>
        <Badge tone={toneOf(scrape.health)}>{scrape.health}</Badge>
        <span class="scrape-time">
          {humanDuration(scrape.duration * 1000)}
          <span
            class="scrape-bar"
            style={{ width: `${slowestS ? Math.max(2, (100 * scrape.duration) / slowestS) : 0}%` }}
          >
            <TimeBar parts={scrapeParts(scrape)} wholeS={scrape.duration} />
          </span>
        </span>
        <span class="muted">
          {scrape.status ? `${scrape.status}, ` : ""}
          {bytes(scrape.bodyBytes)}
          {scrape.wireBytes && scrape.wireBytes !== scrape.bodyBytes
            ? ` (${bytes(scrape.wireBytes)} sent)`
            : ""}
          , {count(scrape.samples)} samples
        </span>
        {scrape.hasBody ? (
          <button type="button" class="plain" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? "Hide the body" : "Show the body"}
          </button>
        ) : null}
      </div>
      <Wrong scrape={scrape} before={before} />
      {isOpen ? <Body target={target} scrape={scrape} /> : null}
    </li>
  );
}

function ScrapeNow({ target, again }: { target: Target; again: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const scrape = async () => {
    setBusy(true);
    setSaid("");
    try {
      await ask(`/targets/${target.id}/scrape`, {}, { post: true });
      again();
    } catch (error) {
      setSaid(messageOf(error));
    }
    setBusy(false);
  };
  if (!may("scrape")) return null;
  return (
    <>
      <button type="button" disabled={isBusy} onClick={scrape}>
        <Icon name="again" />
        {isBusy ? "Scraping" : "Scrape now"}
      </button>
      {said ? (
        <span class="bad-text" role="alert">
          {said}
        </span>
      ) : null}
    </>
  );
}

function Relabeling({ target }: { target: Target }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <div>
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? "Hide the steps of relabeling" : "What relabeling made of them"}
        </button>
      </div>
      {isOpen ? <RelabelSteps pool={target.scrapePool} labels={target.discoveredLabels} /> : null}
    </>
  );
}

/** All that is known of one target: its last scrapes with their times and faults, and where its labels come from. */
export function TargetDetail({ target }: { target: Target }) {
  const asked = useAsked(
    (signal) => ask<{ scrapes: Scrape[] }>(`/targets/${target.id}/scrapes`, {}, { signal }),
    [target.id],
    EVERY_MS,
  );
  const query = new URLSearchParams({
    "g0.expr": seriesName({ __name__: "up", ...target.labels }),
    "g0.tab": "graph",
  });
  return (
    <div class="target-detail">
      <div class="row">
        <ScrapeNow target={target} again={asked.again} />
        <Link class="button" href={`/query?${query}`}>
          <Icon name="graph" />
          Graph of up
        </Link>
      </div>
      <p class="muted">
        Scraped every {target.discoveredLabels.__scrape_interval__ ?? "–"}, for at most{" "}
        {target.discoveredLabels.__scrape_timeout__ ?? "–"}.
      </p>
      <h3>Last scrapes</h3>
      <Loaded asked={asked}>
        {(answer) => {
          const { scrapes } = answer.data;
          const slowestS = Math.max(...scrapes.map((scrape) => scrape.duration), 0);
          return scrapes.length ? (
            <>
              <TimeLegend parts={scrapes.flatMap(scrapeParts)} />
              <ol class="scrapes">
                {scrapes.map((scrape, at) => (
                  <ScrapeRow
                    key={scrape.id}
                    scrape={scrape}
                    before={scrapes[at - 1]}
                    target={target}
                    slowestS={slowestS}
                  />
                ))}
              </ol>
            </>
          ) : (
            <p class="muted">It was not scraped yet.</p>
          );
        }}
      </Loaded>
      <h3>Labels before relabeling</h3>
      <LabelChips labels={target.discoveredLabels} />
      <Relabeling target={target} />
      <PoolDetails pool={target.scrapePool} />
    </div>
  );
}
