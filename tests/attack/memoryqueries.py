"""Small texts that ask for much: each query alone, then many at once, on a server that has little memory.

    python tests/attack/memoryqueries.py [--limit 300] [--series 3000] [--rounds 1] [--address-space 0]

The peak of the resident memory is reset before each query, and read after it. With `--address-space` (KiB) the system refuses
memory, too, and no query may be a crash report.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.attack.figures import arguments, figure
from tests.attack.memory import CONFIG, asked, targets
from tests.support.process import Server

EXPERIMENTAL = "--enable-feature=promql-experimental-functions"
MANY = '{job="many",__name__=~"metric_.+"}'
# Queries at one time.
INSTANT = (
    "count_over_time(up[1y:1s])",
    "up[10h:1ms]",
    "count_over_time(absent(up)[500d:1s])",
    f"count_over_time({MANY}[1y:1s])",
    "max_over_time(sum_over_time(up[1h:1s])[1y:1s])",
    "sum_over_time(count_over_time(up[30d:1s])[30d:1m])",
    "count_over_time((up @ 0)[1y:1s])",
    "count_over_time((up @ end())[100d:1s])",
    "count_over_time((up or vector(1))[300d:1s])",
    "count_over_time((vector(1) > 2)[1y:1s])",
    "absent_over_time(no[1y:1s])",
    "sum_over_time(vector(time())[90d:1s])",
    "stddev_over_time(vector(time())[40d:1s])",
    "quantile_over_time(0.5, vector(time())[40d:1s])",
    "quantile_over_time(0.999, vector(time())[40d:1s])",
    "mad_over_time(vector(time())[20d:1s])",
    "deriv(vector(time())[40d:1s])",
    "predict_linear(vector(time())[40d:1s], 60)",
    "double_exponential_smoothing(vector(time())[20d:1s], 0.5, 0.5)",
    "ts_of_max_over_time(vector(time())[40d:1s])",
    "changes(vector(time())[40d:1s])",
    "vector(time())[30d:1s]",
    "time() + sum_over_time(vector(1)[90d:1s])",
    "histogram_quantile(0.9, count_over_time(up[1y:1s]))",
    f"count_values('v', {MANY})",
    f"sort({MANY})",
    f"info({MANY})",
    f"label_join({MANY}, 'a', ',', 'item', 'item', 'item', 'item', 'item', 'item', 'item', 'item', 'item', 'item')",
    "label_join(up, 'a', '" + "x" * 5000 + "'" + ", 'job'" * 2000 + ")",
    'label_replace(up, "a", "' + "$0" * 5000 + '", "job", ".*")',
    f'label_replace({MANY}, "a", "{"$0" * 2000}", "item", ".*")',
    "vector(1)" + " + vector(1)" * 500,
)
# Queries over 11,000 steps of a second.
RANGE = (
    "quantile_over_time(0.5, vector(1)[1h:1s])",
    "quantile_over_time(0.5, vector(time())[3h:1s])",
    "quantile_over_time(0.5, vector(time() % 977)[8h:1s])",
    "quantile_over_time(0.001, vector(time() % 977)[8h:1s])",
    "mad_over_time(vector(time() % 977)[10m:1s])",
    "stddev_over_time(vector(time() % 977)[8h:1s])",
    "ts_of_max_over_time(vector(time() % 977)[20m:1s])",
    "double_exponential_smoothing(vector(time() % 977)[5m:1s], 0.5, 0.5)",
    "sum_over_time(up[1y:1s])",
    f"max_over_time({MANY}[10h:1s])",
    f"{MANY}",
    f"topk(5, {MANY})",
    f"{MANY} or {MANY} * 2",
    f"{MANY} unless on (item) up",
    f"limit_ratio(0.5, {MANY})",
    f"limitk(100, {MANY})",
    f"count_values('v', {MANY})",
    f"sort({MANY})",
    f"quantile(0.5, {MANY})",
    f"stddev({MANY})",
    f"info({MANY})",
    f"{MANY} @ end()",
    f"{MANY} * on (item) group_left {MANY} @ end()",
    f"histogram_quantile(0.9, label_replace({MANY}, 'le', '$1', 'item', '0*(.+)'))",
    f"sum by (item) (rate({MANY}[1m]))",
    f"absent({MANY})",
    "vector(1) or label_replace(vector(2), 'a', 'b', '', '')",
)
# What is at the same time in the hands of several threads.
CROWD = "count_over_time(up[360d:1s] offset {}s)"


@dataclass
class Peak:
    """What came of one query, or of several at once."""

    query: str
    statuses: Counter[int]
    peak_mib: int
    took_s: float
    errors: tuple[str, ...] = ()


def peak_mib(pid: int) -> int:
    """The most resident memory since it was reset."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


def measured(server: Server, query: str, asks: list[tuple[str, dict[str, str]]]) -> Peak:
    """All requests at once."""
    assert server.process is not None
    pid, statuses, errors = server.process.pid, Counter[int](), set[str]()
    with suppress(OSError):  # where the kernel does not allow it the peak is that since the start
        Path(f"/proc/{pid}/clear_refs").write_text("5")

    def ask(path: str, params: dict[str, Any]) -> None:
        status, body = asked(server.url, path, **params)
        statuses[status] += 1
        if status not in (0, 200) and body[:1] == b"{":
            errors.add(json.loads(body).get("error", ""))

    began_s = time.monotonic()
    threads = [threading.Thread(target=ask, args=one) for one in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Peak(query, statuses, peak_mib(pid), time.monotonic() - began_s, tuple(sorted(errors)))


def requests(now: int) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Each attack by its name."""
    ranged = {"start": str(now - 10_999), "end": str(now), "step": "1"}
    for query in INSTANT:
        yield query, [("/api/v1/query", {"query": query, "time": str(now)})]
    for query in RANGE:
        yield f"{query} over 11,000 steps", [("/api/v1/query_range", {"query": query, **ranged})]
    yield "/api/v1/series", [("/api/v1/series", {"match[]": '{__name__=~".+"}', "start": "0"})]
    everything = {"query": '{__name__=~".+"}', "start": "0", "end": str(now)}
    yield "/api/v1/query_exemplars", [("/api/v1/query_exemplars", everything)]
    crowd = [("/api/v1/query", {"query": CROWD.format(place)}) for place in range(6)]
    yield f"six of {CROWD}", crowd
    several = [("/api/v1/query_range", {"query": query, **ranged}) for query in RANGE[:6]]
    yield "six quantiles at once", several


@contextmanager
def server_of(
    folder: Path, limit_mib: int, series: int, fill_s: float, address_space_kib: int = 0
) -> Iterator[Server]:
    """A server of our own that scrapes some series; with an address space that is all it is told of memory."""
    with targets() as (port, _):
        text = CONFIG.format(port=port, series=series, interval_s=1)
        trimon = Server(folder / "data", text, EXPERIMENTAL)
        if address_space_kib:
            trimon.command[:0] = ["prlimit", f"--as={address_space_kib * 1024}"]
        else:
            trimon.command.append(f"--storage.memory-max={limit_mib}MB")
        trimon.start()
        try:
            time.sleep(fill_s)
            yield trimon
        finally:
            trimon.kill()


def attack(
    server: Server, seed: int, names: tuple[str, ...] = (), tell: bool = False
) -> tuple[list[Peak], float]:
    """The attacks, in an order of the seed, and the crash reports there are afterwards. With `names` only these."""
    chosen = [one for one in requests(int(time.time())) if not names or one[0] in names]
    random.Random(seed).shuffle(chosen)
    found = []
    for name, asks in chosen:
        peak = measured(server, name, asks)
        found.append(peak)
        if tell:
            statuses = ", ".join(f"{count} times {status}" for status, count in sorted(peak.statuses.items()))
            figure(name[:110], statuses, f"peak {peak.peak_mib} MiB, {peak.took_s:.2f} s")
            for error in peak.errors:
                sys.stdout.write(f"    {error[:240]}\n")
    return found, float(len(json.loads(asked(server.url, "/debug/crashes")[1])))


def main() -> None:
    """Runs the attack and prints its figures."""
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--limit", type=int, default=300, help="MB that the process may hold")
    parser.add_argument("--series", type=int, default=3000, help="series that are scraped")
    parser.add_argument("--fill", type=float, default=20.0, help="seconds before the first query")
    parser.add_argument("--address-space", type=int, default=0, help="KiB of addresses instead of a limit")
    parser.add_argument("--only", action="append", default=[], help="the name of an attack")
    options = parser.parse_args()
    for round_ in range(options.rounds):
        with (
            tempfile.TemporaryDirectory() as folder,
            server_of(
                Path(folder), options.limit, options.series, options.fill, options.address_space
            ) as server,
        ):
            found, crashes = attack(server, options.seed + round_, tuple(options.only), tell=True)
            worst = max(found, key=lambda peak: peak.peak_mib)
            refused = json.loads(asked(server.url, "/debug/memory")[1])["queries"]["memory_refused"]
            figure(
                f"{len(found)} queries against "
                + (f"ulimit -v {options.address_space}" if options.address_space else f"{options.limit} MB"),
                f"{crashes:.0f} crash reports, {refused} refused",
                f"worst peak {worst.peak_mib} MiB",
            )


if __name__ == "__main__":
    main()
