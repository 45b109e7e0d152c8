import { signal } from "@preact/signals";

/** Counts how often the server became able to answer again: what was asked in vain before is asked once more then. */
export const comebacks = signal(0);

/** Whether the last thing that was asked got no answer at all: the notice on top of every page says so, once for all. */
export const unreachable = signal(false);
