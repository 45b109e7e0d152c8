import { expect, it } from "vitest";
import { quoted, seriesName } from "./labels";

it("writes a series as a selector", () => {
  expect(seriesName({ __name__: "up", job: "a", instance: "b:1" })).toBe('up{instance="b:1", job="a"}');
  expect(seriesName({ __name__: "up" })).toBe("up");
  expect(seriesName({ job: 'a"b' })).toBe('{job="a\\"b"}');
  expect(seriesName({})).toBe("{}");
});

it("quotes names that are not plain", () => {
  expect(seriesName({ __name__: "with.dots", "a.b": "c" })).toBe('{"with.dots", "a.b"="c"}');
});

it("escapes what would end a text", () => {
  expect(quoted('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
});
