import { isBoolean, remembered } from "../../../state/preferences";

/** What of the page of queries can be switched off; this browser remembers it. */
export const SETTINGS = {
  completion: {
    title: "Complete while I type",
    about: "Ctrl-Space completes in any case.",
    choice: remembered("completion", true, isBoolean),
  },
  history: {
    title: "Remember what I ask",
    about: "In this browser alone, for completions and the list.",
    choice: remembered("remember-queries", true, isBoolean),
  },
  linter: {
    title: "Mark errors while I type",
    about: "The server's errors are marked in any case.",
    choice: remembered("linter", true, isBoolean),
  },
  colours: {
    title: "Colours in the editor",
    about: "",
    choice: remembered("colours", true, isBoolean),
  },
  warnings: {
    title: "Show warnings of answers",
    about: "Something is wrong with the question or the data.",
    choice: remembered("show-warnings", true, isBoolean),
  },
  infos: {
    title: "Show notes of answers",
    about: "Such as a rate of what may be no counter.",
    choice: remembered("show-infos", true, isBoolean),
  },
} as const;

export type Setting = keyof typeof SETTINGS;

/** Whether a switch is on; what reads it is drawn again when it changes. */
export function isOn(name: Setting): boolean {
  return SETTINGS[name].choice.value;
}
