/** Ticks of a time axis that stand at round times, in UTC or in the browser's zone. */

import { formatTime } from "../../../values/time/times";

const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 2_592_000, 7_776_000, 31_536_000,
];

export interface TimeTick {
  timeS: number;
  text: string;
}

/** At most so many ticks between two times. */
export function timeTicks(fromS: number, toS: number, most: number, local: boolean): TimeTick[] {
  const wanted = Math.max((toS - fromS) / Math.max(1, most), 1e-3);
  const stepS = STEPS_S.find((each) => each >= wanted) ?? Math.ceil(wanted / 31_536_000) * 31_536_000;
  // The zone of the first tick counts for all: a change of the clock in between moves them by an hour at most.
  const zoneS = local ? -new Date(fromS * 1000).getTimezoneOffset() * 60 : 0;
  const ticks: TimeTick[] = [];
  for (let at = Math.ceil((fromS + zoneS) / stepS); at * stepS - zoneS <= toS; at++) {
    const timeS = at * stepS - zoneS;
    ticks.push({ timeS, text: tickText(timeS, stepS, !ticks.length, local) });
  }
  return ticks.length ? ticks : [{ timeS: fromS, text: formatTime(fromS * 1000, local) }];
}

function tickText(timeS: number, stepS: number, isFirst: boolean, local: boolean): string {
  const [date = "", time = ""] = formatTime(timeS * 1000, local).split(" ");
  if (stepS >= 86_400) return date;
  const clock = stepS < 60 ? time : time.slice(0, 5);
  return isFirst || time.startsWith("00:00:00") ? `${date.slice(5)} ${clock}` : clock;
}
