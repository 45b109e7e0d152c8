"""Load A: a fleet scraped every second, trimon beside Prometheus and VictoriaMetrics, one after the other.

    python tests/bench/ingest.py --seconds 60 --interval 1s
    python tests/bench/ingest.py --renamed 0.1

Prints CPU seconds per million samples (HTTP, gunzip, parse, append, log), memory and log bytes, and what of the samples that
were served is stored. With `--renamed` it also prints the cost of new series.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.bench.servers import ROOT, Server, disk_bytes, installed, table
from tests.support.ports import free_port


def fleet(options: argparse.Namespace, targets: Path, renamed: float) -> subprocess.Popen[bytes]:
    """The simulator, ready."""
    process = subprocess.Popen(
        [
            sys.executable, str(ROOT / "tests/bench/fleet.py"), f"--targets={options.targets}",
            f"--series={options.series}", f"--port={free_port()}", f"--file-sd={targets}", f"--renamed={renamed}",
            f"--steps={options.steps}",
        ],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


def fleet_config(targets: Path, interval: str) -> str:
    """A configuration that scrapes the simulator's targets."""
    return (
        f"global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n"
        f"scrape_configs:\n  - job_name: fleet\n    file_sd_configs:\n      - files: [{targets}]\n"
    )


@contextmanager
def scraping(
    kind: str, options: argparse.Namespace, work: Path, renamed: float, interval: str
) -> Iterator[Server]:
    """A server that scrapes a fleet; neither it nor its data is left."""
    targets = work / "targets.json"
    simulator = fleet(options, targets, renamed)
    config = work / f"{kind}.yml"
    config.write_text(fleet_config(targets, interval))
    server = Server(kind, work / kind, config)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        server.clean()
        simulator.terminate()
        simulator.wait()


def compacting_cpu_s(server: Server, scraping_share: float) -> float:
    """CPU s a million samples to write the head as a block, by a snapshot; scraping, of that share of a core, goes on."""
    held = server.value("sum(sum_over_time(scrape_samples_scraped[10m]))", time.time())
    before, began_s = server.cost().cpu_s, time.perf_counter()
    asked = urllib.request.Request(f"{server.url}/api/v1/admin/tsdb/snapshot", b"", method="POST")
    with urllib.request.urlopen(asked, timeout=300):
        taken_s = time.perf_counter() - began_s
    return (server.cost().cpu_s - before - scraping_share * taken_s) / held * 1e6


def one(kind: str, options: argparse.Namespace, work: Path, renamed: float) -> dict[str, float]:
    """The figures of one server."""
    with scraping(kind, options, work, renamed, options.interval) as server:
        time.sleep(options.warm_up)
        before, began = server.cost(), time.time()
        log_before = disk_bytes(server.directory)
        time.sleep(options.seconds)
        after, ended = server.cost(), time.time()
        log_bytes = disk_bytes(server.directory) - log_before
        time.sleep(3)
        window = f"{int(ended - began)}s"
        at = ended
        samples = server.value(f"sum(sum_over_time(scrape_samples_scraped[{window}]))", at)
        scrapes = server.value(f"sum(count_over_time(up[{window}]))", at)
        failed = scrapes - server.value(f"sum(sum_over_time(up[{window}]))", at)
        series = server.value('count({job="fleet"})', at)
        added = server.value(f"sum(sum_over_time(scrape_series_added[{window}]))", at)
        names = server.get("/api/v1/label/__name__/values")["data"]
        stored = sum(
            server.value(f"sum(count_over_time({name}[{window}]))", at)
            for name in names
            if name.startswith(("node_family", "http_request"))
        )
        due = (
            options.targets
            * (ended - began)
            / (
                float(options.interval[:-1])
                if options.interval[-2:] != "ms"
                else float(options.interval[:-2]) / 1000
            )
        )
        share = (after.cpu_s - before.cpu_s) / (ended - began)
        return {
            "compacting": math.nan if kind == "victoria" else compacting_cpu_s(server, share),
            "CPU s / million samples": (after.cpu_s - before.cpu_s) / samples * 1e6,
            "anonymous bytes / series": after.anonymous_bytes / series,
            "WAL bytes / sample": log_bytes / samples,
            "stored / served %": 100 * stored / samples,
            "scrapes done / due %": 100 * scrapes / due,
            "failed scrapes": failed,
            "new series": added,
            "cpu": after.cpu_s - before.cpu_s,
            "samples": samples,
        }


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=15)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--renamed", type=float, default=0.0)
    parser.add_argument("--servers", default=",".join(installed()))
    options = parser.parse_args()
    goals = {
        "CPU s / million samples": "0.7 × Prometheus",
        "anonymous bytes / series": "0.7 × Prometheus",
        "WAL bytes / sample": "0.4 × Prometheus",
        "stored / served %": "100",
        "CPU s / 100,000 new series": "1.5 × Prometheus",
    }
    with tempfile.TemporaryDirectory(prefix="trimon-bench-") as name:
        work = Path(name)
        kinds = options.servers.split(",")
        steady = {kind: one(kind, options, work, 0.0) for kind in kinds}
        rows = [
            (what, {kind: steady[kind][what] for kind in kinds})
            for what in steady[kinds[0]]
            if what not in ("cpu", "samples", "new series", "compacting")
        ]
        if options.renamed:
            churn = {kind: one(kind, options, work, options.renamed) for kind in kinds}
            costs = {
                kind: (
                    churn[kind]["cpu"]
                    - steady[kind]["CPU s / million samples"] * churn[kind]["samples"] / 1e6
                )
                / churn[kind]["new series"]
                * 1e5
                for kind in kinds
            }
            rows.append(("CPU s / 100,000 new series", costs))
            rows.append(
                (
                    "churn: CPU s / million samples",
                    {kind: churn[kind]["CPU s / million samples"] for kind in kinds},
                )
            )
            rows.append(
                (
                    "churn: anonymous bytes / series",
                    {kind: churn[kind]["anonymous bytes / series"] for kind in kinds},
                )
            )
            rows.append(
                (
                    "churn: CPU s / million samples to write a block",
                    {kind: churn[kind]["compacting"] for kind in kinds},
                )
            )
            rows.append(
                ("churn: stored / served %", {kind: churn[kind]["stored / served %"] for kind in kinds})
            )
        title = f"Load A: {options.targets} targets × {options.series} series every {options.interval}, {options.seconds:.0f} s"
        print(table(title, rows, goals))


if __name__ == "__main__":
    main()
