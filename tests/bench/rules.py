"""Rules: 10,000 of them in 500 groups, beside scraping, trimon and Prometheus one after the other on one core each.

    python tests/bench/rules.py --seconds 120

Half of the rules record, half alert (a tenth of these fire); each group has a metric family of its own and rules that
share selectors. Prints CPU seconds a 1,000 evaluations, missed iterations, and how late the event loop was.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.ingest import fleet
from tests.bench.servers import Server, table


def rule_file(groups: int, rules: int, families: list[str]) -> str:
    """The groups as YAML."""
    lines = ["groups:"]
    for group in range(groups):
        family = families[group % len(families)]
        lines.append(f"- name: g{group}\n  rules:")
        for rule in range(rules):
            match rule % 4:
                case 0:
                    lines.append(
                        f"  - record: g{group}:r{rule}:sum\n    expr: sum by (job) (rate({family}[1m])) + {rule}"
                    )
                case 1:
                    lines.append(
                        f"  - alert: High{rule}\n    expr: sum by (job) (rate({family}[1m])) > 1e15\n    for: 1m\n"
                        "    annotations: {text: '{{ $labels.job }} at {{ $value }}'}"
                    )
                case 2:
                    lines.append(f"  - record: g{group}:r{rule}:max\n    expr: max by (instance) ({family})")
                case _:
                    fires = ">= 0" if rule == 3 and group % 10 == 0 else "< 0"
                    lines.append(
                        f"  - alert: Low{rule}\n    expr: avg by (job) ({family}) {fires}\n"
                        "    labels: {severity: page}\n    annotations: {text: '{{ $value | humanize }}'}"
                    )
    return "\n".join(lines) + "\n"


def samples(server: Server, name: str) -> list[tuple[str, float]]:
    """Labels and values of a metric on the server's own page."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = (
        line.removeprefix(name).rpartition(" ") for line in lines if line.startswith((name + "{", name + " "))
    )
    return [(labels, float(value)) for labels, _, value in found]


def total(server: Server, name: str) -> float:
    """The sum of all samples of a metric."""
    return sum(value for _, value in samples(server, name))


def late_ms(server: Server) -> float:
    """The delay of the event loop that one beat of a hundred exceeds, since the start."""
    buckets = samples(server, "trimon_event_loop_lag_seconds_bucket")
    wanted = 0.99 * buckets[-1][1]
    bound = next(labels for labels, count in buckets if count >= wanted)
    return float(bound.split('"')[1]) * 1000


def one(kind: str, options: argparse.Namespace, work: Path) -> dict[str, float]:
    """The figures of one server."""
    simulator = fleet(options, work / "targets.json", 0.0)
    config = work / f"{kind}.yml"
    base = (
        f"global: {{scrape_interval: {options.interval}, evaluation_interval: {options.interval}}}\n"
        f"scrape_configs:\n  - job_name: fleet\n    file_sd_configs:\n      - files: [{work / 'targets.json'}]\n"
    )
    config.write_text(base)
    flags = ["--web.enable-lifecycle"]
    server = Server(kind, work / kind, config, flags, cores="1")
    rules = work / f"{kind}-rules.yml"
    try:
        server.start()
        time.sleep(40)
        names = server.get("/api/v1/label/__name__/values")["data"]
        families = [name for name in names if name.startswith(("node_family", "http_request"))]
        rules.write_text(rule_file(options.groups, options.rules // options.groups, families))
        server.stop()
        config.write_text(base + f"rule_files: [{rules}]\n")
        server.start()
        time.sleep(options.warm_up)
        before, evaluated = server.cost(), total(server, "prometheus_rule_evaluations_total")
        time.sleep(options.seconds)
        after = server.cost()
        evaluated = total(server, "prometheus_rule_evaluations_total") - evaluated
        cpu_s = after.cpu_s - before.cpu_s
        return {
            "evaluations": evaluated,
            "evaluations failed": total(server, "prometheus_rule_evaluation_failures_total"),
            "iterations missed": total(server, "prometheus_rule_group_iterations_missed_total"),
            "CPU s, scraping included": cpu_s,
            "CPU ms an evaluation": cpu_s / max(evaluated, 1) * 1000,
            "anonymous MB": after.anonymous_bytes / 1e6,
            "event loop p99 ms": late_ms(server) if kind == "trimon" else float("nan"),
        }
    finally:
        server.stop()
        simulator.kill()
        simulator.wait()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--interval", default="15s")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--warm-up", type=float, default=75.0)
    options = parser.parse_args()
    found = {}
    for kind in ("trimon", "prometheus"):
        with tempfile.TemporaryDirectory() as work:
            found[kind] = one(kind, options, Path(work))
    rows = [(what, {kind: found[kind][what] for kind in found}) for what in found["trimon"]]
    print(table(f"{options.rules} rules in {options.groups} groups every {options.interval}", rows))


if __name__ == "__main__":
    main()
