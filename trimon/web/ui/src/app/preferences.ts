import { type Signal, signal } from "@preact/signals";

/** A choice that this browser remembers; nothing of it reaches the server. */
export function remembered<T>(name: string, initial: T, isValid: (value: unknown) => value is T): Signal<T> {
  const key = `trimon.${name}`;
  let first = initial;
  try {
    const text = localStorage.getItem(key);
    const value: unknown = text === null ? initial : JSON.parse(text);
    if (isValid(value)) first = value;
  } catch {
    // Storage may be forbidden or hold what others wrote; the first value is right then.
  }
  const choice = signal(first);
  choice.subscribe((value) => {
    try {
      if (value === initial) localStorage.removeItem(key);
      else localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // The choice holds until the page is left.
    }
  });
  return choice;
}

export const isBoolean = (value: unknown): value is boolean => typeof value === "boolean";

export type Theme = "system" | "light" | "dark";
const isTheme = (value: unknown): value is Theme =>
  value === "system" || value === "light" || value === "dark";

export const theme = remembered<Theme>("theme", "system", isTheme);
theme.subscribe((value) => {
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
});

/** Whether times are shown in the browser's zone rather than in UTC. */
export const localTime = remembered("local-time", false, isBoolean);

/** Whether the page is dark now. */
export function isDark(): boolean {
  if (theme.value !== "system") return theme.value === "dark";
  return window.matchMedia?.("(prefers-color-scheme: dark)").matches ?? false;
}
