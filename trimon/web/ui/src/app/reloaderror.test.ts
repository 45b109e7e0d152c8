import { expect, it } from "vitest";
import { reloadError } from "./reloaderror";

it("tells the newest reason and no other problem", () => {
  const failed = (last: string, err: string) => ({
    level: "error",
    message: "reloading the configuration failed",
    fields: { err },
    last,
  });
  const other = { ...failed("2026-11-27T01:00:03Z", "x"), message: "a scrape failed" };
  const all = [failed("2026-11-27T01:00:02Z", "a.yml:3: no"), failed("2026-11-27T01:00:01Z", "old"), other];
  expect(reloadError(all)).toBe("a.yml:3: no");
  expect(reloadError([other])).toBe("");
});
