import { signal } from "@preact/signals";

/** Counts how often the server became able to answer again: what was asked in vain before is asked once more then. */
export const comebacks = signal(0);
