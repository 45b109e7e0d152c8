import { describe, expect, it } from "vitest";
import { DEFAULT_PANEL, type Panel, stepMs } from "./panel";
import { decodePanels, encodePanels } from "./url";

const decode = (query: string) => decodePanels(new URLSearchParams(query));

describe("decodePanels", () => {
  it("opens links of Prometheus 3", () => {
    const [panel] = decode(
      "g0.expr=rate(x%5B5m%5D)&g0.show_tree=0&g0.tab=graph&g0.end_input=2026-11-26+20%3A00%3A00&g0.moment_input=2026-11-26+20%3A00%3A00&g0.range_input=2h&g0.res_type=fixed&g0.res_step=15&g0.display_mode=stacked&g0.y_axis_min=0&g0.show_exemplars=1",
    );
    expect(panel).toEqual({
      expression: "rate(x[5m])",
      tab: "graph",
      endMs: Date.UTC(2026, 10, 26, 20),
      rangeMs: 7_200_000,
      resolution: { type: "fixed", stepMs: 15_000 },
      mode: "stacked",
      exemplars: true,
      yMin: 0,
      isLog: false,
      showTree: false,
      refreshS: 0,
    });
  });

  it("opens links of Prometheus 2, and of alerts", () => {
    const [panel] = decode("g0.expr=up&g0.tab=0&g0.stacked=1&g0.step_input=30&g0.range_input=30m");
    expect(panel).toMatchObject({
      tab: "graph",
      mode: "stacked",
      rangeMs: 1_800_000,
      resolution: { type: "custom", stepMs: 30_000 },
    });
    expect(decode("g0.expr=up&g0.tab=1")[0]).toMatchObject({
      expression: "up",
      tab: "table",
      endMs: undefined,
    });
  });

  it("has a panel for what is missing or odd", () => {
    expect(decode("")).toEqual([DEFAULT_PANEL]);
    expect(decode("g0.expr=a&g2.expr=c").map((panel) => panel.expression)).toEqual(["a"]);
    expect(
      decode(
        "g0.expr=a&g0.tab=9&g0.range_input=x&g0.end_input=never&g0.res_type=fixed&g0.res_step=-1&g0.display_mode=pie",
      )[0],
    ).toEqual({
      ...DEFAULT_PANEL,
      expression: "a",
    });
  });

  it("takes no step or range that is none", () => {
    for (const step of ["Infinity", "1e-9", "NaN", "1e300", "-1", "0"])
      expect(decode(`g0.expr=a&g0.res_type=custom&g0.res_step=${step}`)[0]?.resolution).toEqual(
        DEFAULT_PANEL.resolution,
      );
    const [panel] = decode(`g0.expr=a&g0.range_input=${"9".repeat(400)}&g0.y_axis_min=Infinity`);
    expect(panel).toMatchObject({ rangeMs: DEFAULT_PANEL.rangeMs, yMin: undefined });
  });

  it("gives back what was encoded", () => {
    const panels: Panel[] = [
      DEFAULT_PANEL,
      {
        ...DEFAULT_PANEL,
        expression: 'a{b="&=+ "}',
        tab: "graph",
        endMs: 1_700_000_000_250,
        yMin: -1.5,
        isLog: true,
        mode: "heatmap",
        refreshS: 30,
      },
      { ...DEFAULT_PANEL, resolution: { type: "custom", stepMs: 250 }, exemplars: true, showTree: true },
    ];
    expect(decodePanels(encodePanels(panels))).toEqual(panels);
  });
});

it("says of an empty panel only that it is there", () => {
  expect(encodePanels([DEFAULT_PANEL, { ...DEFAULT_PANEL, expression: "up" }]).toString()).toMatch(
    /^g0\.expr=&g1\.expr=up&/,
  );
});

describe("stepMs", () => {
  it("follows the density", () => {
    expect(stepMs(DEFAULT_PANEL)).toBe(14_400);
    expect(stepMs({ ...DEFAULT_PANEL, rangeMs: 10_000 })).toBe(1000);
    expect(stepMs({ ...DEFAULT_PANEL, resolution: { type: "fixed", stepMs: 500 } })).toBe(500);
  });
});
