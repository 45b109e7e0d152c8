import { expect, it } from "vitest";
import { yamlPieces } from "./yaml";

it("never changes a line", () => {
  for (const line of [
    "global:",
    "  scrape_interval: 15s",
    "- job_name: a: b",
    '  - "x:y"',
    "  - up == 0",
    "",
    "    expr: |-",
    "# c: d",
    "'a b': 1",
  ]) {
    expect(
      yamlPieces(line)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(line);
  }
});

it("tells keys from values", () => {
  expect(yamlPieces("  scrape_interval: 15s").map((piece) => piece.kind)).toEqual([
    "plain",
    "key",
    "plain",
    "number",
  ]);
  expect(yamlPieces("- job_name: node")[1]).toEqual({ text: "job_name", kind: "key" });
  expect(yamlPieces("  password: <secret>")[3]?.kind).toBe("secret");
  expect(yamlPieces("  honor_labels: true")[3]?.kind).toBe("word");
});
