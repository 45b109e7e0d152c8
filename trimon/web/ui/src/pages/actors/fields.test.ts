import { expect, it } from "vitest";
import { shownField } from "./fields";

it("shows moments, durations and sizes for people", () => {
  expect(shownField("last_scrape_ms", 1795741462050)).toEqual({
    name: "last scrape",
    timeMs: 1795741462050,
    text: "",
  });
  expect(shownField("last_scrape_ms", 0).timeMs).toBe(0);
  expect(shownField("at_s", 1795741462.5).timeMs).toBe(1795741462500);
  expect(shownField("last_duration_s", 0.00028874000417999923).text).toBe("289\u00a0µs");
  expect(shownField("size_bytes", 2048)).toEqual({ name: "size", text: "2 KiB" });
  expect(shownField("ratio", 0.123456789)).toEqual({ name: "ratio", text: "0.123457" });
  expect(shownField("in_hand", "a scrape").text).toBe("a scrape");
});
