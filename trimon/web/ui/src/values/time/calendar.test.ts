import { expect, it } from "vitest";
import { shiftDay, shiftMonth, weeksOf } from "./calendar";

it("moves by days and months over their ends", () => {
  expect(shiftDay("2024-02-28", 2)).toBe("2024-03-01");
  expect(shiftMonth("2026-01-31", 1)).toBe("2026-02-28");
  expect(shiftMonth("2026-01-31", -2)).toBe("2025-11-30");
});

it("has the weeks of a month, from Monday to Sunday", () => {
  const weeks = weeksOf("2026-11-26");
  expect(weeks[0]).toEqual([
    "2026-10-26",
    "2026-10-27",
    "2026-10-28",
    "2026-10-29",
    "2026-10-30",
    "2026-10-31",
    "2026-11-01",
  ]);
  expect(weeks).toHaveLength(6);
  expect(weeksOf("2027-02-14")).toHaveLength(4);
});
