import { effect, type Signal, signal } from "@preact/signals";

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

const system = window.matchMedia?.("(prefers-color-scheme: dark)");
const systemIsDark = signal(system?.matches ?? false);
system?.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

/** Whether the page is dark now; what draws with colours reads it, and is drawn again when it changes. */
export function isDark(): boolean {
  return theme.value === "system" ? systemIsDark.value : theme.value === "dark";
}

effect(() => {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
});

/** Whether times are shown in the browser's zone rather than in UTC. */
export const localTime = remembered("local-time", false, isBoolean);
