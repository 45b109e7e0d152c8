import { expect, it } from "vitest";
import { comparison } from "./comparison";

it("takes a comparison with a number apart", () => {
  expect(comparison("rate(errors[5m]) / rate(all[5m]) > 0.6")).toEqual({
    left: "rate(errors[5m]) / rate(all[5m])",
    operator: ">",
    threshold: "0.6",
  });
  expect(comparison("min by (job) (up) <= 1e3")?.operator).toBe("<=");
});

it("leaves other expressions alone", () => {
  for (const text of ["up", "up == 0", "a > b", "absent(up)", "up > 1 and down", "(", ""]) {
    expect(comparison(text)).toBeUndefined();
  }
});
