// Runs before anything is drawn, so that a page never flashes in the other theme.
(() => {
  let chosen = null;
  try {
    chosen = JSON.parse(localStorage.getItem("trimon.theme"));
  } catch {
    // A browser may forbid storage; the system's theme is right then.
  }
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme =
    chosen === "light" || chosen === "dark" ? chosen : isDark ? "dark" : "light";
})();
