/**
 * What the data of answers must look like before a page may count on it: what stands between server and browser may answer,
 * too, and so may another server at the same address.
 */

type Kind = "list" | "map" | "text" | "number";
/** A kind, or the fields that must be there. */
type Shape = Kind | Readonly<Record<string, Kind>>;

const RESULT: Shape = { resultType: "text", result: "list" };
const GROUPS: Shape = { groups: "list" };

const SHAPES: Readonly<Record<string, Shape>> = {
  "/alertmanagers": { activeAlertmanagers: "list", droppedAlertmanagers: "list" },
  "/alerts/history": { changes: "list" },
  "/config/apply": "map",
  "/config/plan": "map",
  "/discovery": { providers: "list" },
  "/discovery/changes": { changes: "list" },
  "/explain": { plan: "map" },
  "/features": "map",
  "/format_query": "text",
  "/label/__name__/values": "list",
  "/metadata": "map",
  "/notifications": "list",
  "/parse_query": "map",
  "/query": RESULT,
  "/query_exemplars": "list",
  "/query_range": RESULT,
  "/rules": GROUPS,
  "/rules/backtest": GROUPS,
  "/rules/selectors": GROUPS,
  "/scrape_pools": { scrapePools: "list" },
  "/scrape_pools/config": { yaml: "text" },
  "/series": "list",
  "/status/buildinfo": "map",
  "/status/config": { yaml: "text" },
  "/status/growth": {
    newSeriesByMetricName: "list",
    newValuesByLabelName: "list",
    newSeriesByTarget: "list",
  },
  "/status/runtimeinfo": { serverTime: "text" },
  "/status/storage": { figures: "map" },
  "/status/tsdb": { headStats: "map", seriesCountByMetricName: "list", labelValueCountByLabelName: "list" },
  "/status/tsdb/blocks": { blocks: "list" },
  "/status/walreplay": { min: "number", max: "number", current: "number" },
  "/targets": { activeTargets: "list", droppedTargets: "list", droppedTargetCounts: "map" },
  "/targets/relabel_steps": { steps: "list" },
  "/targets/scrapes": { targets: "list" },
  "/trimon/actors": { columns: "list", rows: "list", gone: "list" },
  "/trimon/flags": "list",
  "/trimon/problems": "list",
  "/trimon/queries": { queries: "list" },
  "/trimon/queries/past": { queries: "list" },
  "/trimon/remote_read": "list",
  "/trimon/remote_write": "list",
  "/trimon/security": { addresses: "list" },
};

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "list";
  if (typeof value === "string") return "text";
  return typeof value === "number" ? "number" : isMap(value) ? "map" : typeof value;
}

function entries(list: readonly unknown[]): string | undefined {
  const at = list.findIndex((each) => each === null || each === undefined);
  return at < 0 ? undefined : `entry ${at} is nothing`;
}

/** What is wrong with the data of a path's answer; undefined where it can be used. */
export function misshapen(path: string, data: unknown): string | undefined {
  const shape = Object.hasOwn(SHAPES, path) ? SHAPES[path] : undefined;
  if (shape === undefined) return undefined;
  if (typeof shape === "string") {
    if (kindOf(data) !== shape) return `a ${shape} was expected, not ${kindOf(data)}`;
    return Array.isArray(data) ? entries(data) : undefined;
  }
  if (!isMap(data)) return `a map was expected, not ${kindOf(data)}`;
  for (const [name, kind] of Object.entries(shape)) {
    const value = data[name];
    if (kindOf(value) !== kind) return `its ${name} is ${kindOf(value)}, not a ${kind}`;
    const wrong = Array.isArray(value) ? entries(value) : undefined;
    if (wrong) return `of its ${name} ${wrong}`;
  }
  return undefined;
}
