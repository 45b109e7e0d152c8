import { useState } from "preact/hooks";
import { Facts } from "../../components/layout/page";
import { Time } from "../../components/time";
import { localTime } from "../../state/preferences";
import { count } from "../../values/numbers";
import { humanDuration } from "../../values/time/durations";
import { formatTime } from "../../values/time/times";
import "../../styles/blocks.css";

export interface Block {
  ulid: string;
  minTime: number;
  maxTime: number;
  stats?: { numSamples?: number; numSeries?: number; numChunks?: number; numTombstones?: number };
  compaction?: { level?: number };
}

const LEVEL_MAX = 5;

function Detail({ block }: { block: Block }) {
  return (
    <Facts
      facts={[
        ["block", <code key="b">{block.ulid}</code>],
        ["from", <Time key="f" timeMs={block.minTime} />],
        ["to", <Time key="t" timeMs={block.maxTime} />],
        ["span", humanDuration(block.maxTime - block.minTime)],
        ["series", count(block.stats?.numSeries ?? 0)],
        ["samples", count(block.stats?.numSamples ?? 0)],
        ["deletions", count(block.stats?.numTombstones ?? 0)],
        ["merged", `${(block.compaction?.level ?? 1) - 1} times`],
      ]}
    />
  );
}

/** The blocks and the head on one axis of time: how far back it goes, where something is missing, what was merged. */
export function BlockAxis({
  blocks,
  head,
}: {
  blocks: readonly Block[];
  head: { minTime: number; maxTime: number } | undefined;
}) {
  const [chosen, setChosen] = useState("");
  const hasHead =
    head !== undefined && head.minTime > 0 && head.maxTime > head.minTime && head.maxTime < 8.64e15;
  if (!blocks.length && !hasHead) return <p class="muted">Nothing is stored yet.</p>;
  const from = Math.min(
    ...blocks.map((block) => block.minTime),
    hasHead ? head.minTime : Number.POSITIVE_INFINITY,
  );
  const to = Math.max(...blocks.map((block) => block.maxTime), hasHead ? head.maxTime : 0);
  const place = (timeMs: number) => `${(100 * (timeMs - from)) / Math.max(1, to - from)}%`;
  const width = (minTime: number, maxTime: number) =>
    `${(100 * (maxTime - minTime)) / Math.max(1, to - from)}%`;
  const block = blocks.find((each) => each.ulid === chosen);
  return (
    <>
      <div class="block-axis">
        {blocks.map((each) => (
          <button
            type="button"
            key={each.ulid}
            class={`block level-${Math.min(LEVEL_MAX, each.compaction?.level ?? 1)}`}
            aria-pressed={each.ulid === chosen}
            aria-label={`Block from ${formatTime(each.minTime, localTime.value)}, ${humanDuration(each.maxTime - each.minTime)}`}
            title={`${formatTime(each.minTime, localTime.value)} – ${formatTime(each.maxTime, localTime.value)}, ${count(each.stats?.numSamples ?? 0)} samples`}
            style={{ left: place(each.minTime), width: width(each.minTime, each.maxTime) }}
            onClick={() => setChosen(each.ulid === chosen ? "" : each.ulid)}
          />
        ))}
        {hasHead ? (
          <span
            class="block head-block"
            title="The head: what is not in a block yet"
            style={{ left: place(head.minTime), width: width(head.minTime, head.maxTime) }}
          />
        ) : null}
      </div>
      <p class="block-ends muted">
        <span>{formatTime(from - (from % 1000), localTime.value)}</span>
        <span>
          {blocks.length === 1 ? "1 block" : `${count(blocks.length)} blocks`}
          {hasHead ? " and the head" : ""}
        </span>
        <span>{formatTime(to - (to % 1000), localTime.value)}</span>
      </p>
      {block ? <Detail block={block} /> : null}
    </>
  );
}
