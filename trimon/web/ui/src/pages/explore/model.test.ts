import { expect, it } from "vitest";
import { goodQuestion, metadataOf, metrics } from "./model";

const KNOWN = {
  latency: [{ type: "histogram", help: "How long.", unit: "seconds" }],
  requests: [{ type: "counter", help: "How many.", unit: "" }],
  up: [{ type: "gauge", help: "", unit: "" }],
};

it("knows parts of histograms and counters by their families", () => {
  expect(metadataOf("latency_bucket", KNOWN)?.help).toBe("How long.");
  expect(metadataOf("requests_total", KNOWN)?.type).toBe("counter");
  expect(metadataOf("other", KNOWN)).toBeUndefined();
});

it("asks what makes sense of a type", () => {
  const of = (name: string) => {
    const [metric] = metrics([name], KNOWN, new Map());
    return metric ? goodQuestion(metric, name) : "";
  };
  expect(of("latency_bucket")).toBe("histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))");
  expect(of("latency")).toBe("histogram_quantile(0.99, sum(rate(latency[5m])))");
  expect(of("latency_count")).toBe("rate(latency_count[5m])");
  expect(of("requests_total")).toBe("rate(requests_total[5m])");
  expect(of("up")).toBe("up");
});
