/** Icons as strokes on a grid of 24; they are for the eye alone, so screen readers are told nothing. */
const PATHS: Record<string, string> = {
  mark: "M3 16h4l3-10 4 13 2.5-7H21",
  menu: "M4 6h16M4 12h16M4 18h16",
  query: "M4 17l6-5-6-5M12 19h8",
  explore: "M11 4a7 7 0 100 14 7 7 0 000-14zM16.5 16.5L21 21",
  alert: "M12 4l9 16H3zM12 10v4M12 17v.5",
  rules: "M5 5h14M5 10h9M5 15h14M5 20h9",
  target: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 8a4 4 0 100 8 4 4 0 000-8z",
  discovery: "M12 5v4M12 9L6 15M12 9l6 6M4 15h4v4H4zM16 15h4v4h-4zM10 2h4v3h-4z",
  bell: "M6 16V11a6 6 0 0112 0v5l2 2H4zM10 21h4",
  actors: "M12 3v5M5 13h14M5 13v3M19 13v3M12 8v8M3 16h4v4H3zM10 16h4v4h-4zM17 16h4v4h-4z",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v5M16 3v5",
  clock: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 7v5l3 2",
  storage: "M4 6c0-4 16-4 16 0v12c0 4-16 4-16 0zM4 6c0 4 16 4 16 0M4 12c0 4 16 4 16 0",
  status: "M3 12h4l2-6 4 12 2-6h6",
  problem: "M8 3h8l5 5v8l-5 5H8l-5-5V8zM12 8v5M12 16v.5",
  config: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h7",
  plan: "M5 4v16M5 6h9l5 4-5 4H5",
  flag: "M6 21V4h12l-3 4 3 4H6",
  console: "M3 5h18v14H3zM7 9l3 3-3 3M12 15h5",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14A8 8 0 0110 4a8 8 0 1010 10z",
  system: "M3 5h18v11H3zM8 20h8M12 16v4",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12l5 5 9-10",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  right: "M9 6l6 6-6 6",
  left: "M15 6l-6 6 6 6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  again: "M20 11a8 8 0 10-2 6M20 5v6h-6",
  play: "M7 4l13 8-13 8z",
  stop: "M6 6h12v12H6z",
  link: "M10 14a4 4 0 006 0l3-3a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6 0l-3 3a4 4 0 006 6l1-1",
  more: "M5 12h.5M12 12h.5M19 12h.5",
  graph: "M4 4v16h16M7 15l4-5 3 3 5-7",
  table: "M4 5h16v14H4zM4 10h16M4 15h16M10 5v14",
  tree: "M5 4v14h6M5 10h6M13 8h7v4h-7zM13 16h7v4h-7z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name] ?? ""} />
    </svg>
  );
}
