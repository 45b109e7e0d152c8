"""The targets of the example: a web shop of servers, workers and databases, some of which have a trouble each."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.demo.families import Counter, Durations, Family, Gauge, Histogram, Labels, Target
from trimon.demo.flows import HOUR_S, MINUTE_S, Burst, Floats, Flow

# How much of the past there is; all times here are seconds since it began.
PAST_S: Final = 6 * HOUR_S
# A new session every so often: the target whose cardinality grows.
SESSION_S: Final = 40.0
SESSIONS_MAX: Final = 3000
ROUTES: Final = (("/", 9.0, 0.03), ("/search", 5.0, 0.08), ("/cart", 2.4, 0.05), ("/checkout", 0.9, 0.12))
# Every 95 minutes the checkout is slow and fails for twelve; the last time began a quarter of an hour before now.
_TROUBLE: Final = Burst(95 * MINUTE_S, 12 * MINUTE_S, 1.0, 35 * MINUTE_S)
MIB: Final = 2**20


def fleet() -> tuple[Target, ...]:
    """Every target."""
    return (
        *(_api(number) for number in (1, 2, 3)),
        *(_worker(number) for number in (1, 2)),
        _database(1, "primary"),
        _database(2, "replica"),
        Target("payments", "payments-1", _team("payments"), _payments(0.4)),
        Target(
            "payments", "payments-2", _team("payments"), _payments(1.7), gone_from_s=PAST_S - 40 * MINUTE_S
        ),
        Target("search", "search-1", _team("search"), _search(), broken_from_s=PAST_S - 25 * MINUTE_S),
        Target("recommender", "recommender-1", _team("search"), _recommender(), delay_s=2.5),
        Target("sessions", "sessions-1", _team("shop"), _sessions()),
    )


def _team(team: str) -> Labels:
    return {"env": "production", "team": team}


def _process(
    phase: float, memory_mib: float, leak_mib_s: float = 0.0, life_s: float = np.inf
) -> tuple[Family, ...]:
    """What every process tells of itself."""

    def memory(times_s: Floats) -> Floats:
        age_s = times_s % life_s if np.isfinite(life_s) else times_s
        grown = memory_mib + leak_mib_s * age_s + 6 * np.sin(times_s / 240 + phase)
        return np.asarray(np.round(grown * MIB), np.float64)

    cpu = Flow(0.22, phase, (Burst(21 * MINUTE_S, 70, 0.3, phase * 100),))
    return (
        Family(
            "process_cpu_seconds_total",
            "counter",
            "Seconds of processor time that the process has used.",
            (Counter({}, cpu),),
        ),
        Family(
            "process_resident_memory_bytes",
            "gauge",
            "Memory that the process holds.",
            (Gauge({}, memory),),
            "bytes",
        ),
    )


def _api(number: int) -> Target:
    phase = 0.4 * number
    life_s = 2.2 * HOUR_S if number == 3 else np.inf
    requests, latencies = [], []
    for place, (route, mean, median_s) in enumerate(ROUTES):
        flow = Flow(mean, phase + place)
        trouble = (_TROUBLE,) if route == "/checkout" else ()
        requests += [
            Counter({"route": route, "method": "GET", "code": "200"}, flow),
            Counter({"route": route, "method": "GET", "code": "404"}, flow.scaled(0.02)),
            Counter(
                {"route": route, "method": "GET", "code": "500"},
                Flow(mean * 0.004, phase, trouble).scaled(0.5),
            ),
        ]
        parts = [Durations(flow, median_s, 0.45), Durations(flow.scaled(0.04), median_s * 6, 0.4)]
        if trouble:
            parts.append(Durations(Flow(0.001, phase, trouble), 2.2, 0.3))
        latencies.append(Histogram({"route": route}, tuple(parts)))
    in_flight = Flow(7.0, phase, (Burst(95 * MINUTE_S, 12 * MINUTE_S, 22, 35 * MINUTE_S),))
    families = (
        Family(
            "shop_requests_total",
            "counter",
            "Requests that were answered, by route and status.",
            tuple(requests),
        ),
        Family(
            "shop_request_duration_seconds",
            "histogram",
            "How long requests took until their last byte was sent.",
            tuple(latencies),
            "seconds",
        ),
        Family(
            "shop_requests_in_flight",
            "gauge",
            "Requests that are being answered.",
            (Gauge({}, lambda times_s: np.round(in_flight.rate(times_s))),),
        ),
        *_process(phase, 180.0, 0.011 if number == 3 else 0.0, life_s),
    )
    return Target("api", f"api-{number}", _team("shop"), families, life_s, native=True)


def _worker(number: int) -> Target:
    phase = 2.0 + number
    depths = {
        "mail": lambda times_s: np.round(40 + 32 * np.sin(times_s / 900 + phase)),
        "images": lambda times_s: np.round(12 + 9 * np.sin(times_s / 400 + phase) + times_s % 5400 / 90),
        "invoices": lambda times_s: np.round(60 + np.maximum(0, times_s - PAST_S + HOUR_S) / 12),
    }
    done = []
    for place, queue in enumerate(depths):
        flow = Flow(1.5 + place, phase + place)
        done += [
            Counter({"queue": queue, "outcome": "done"}, flow),
            Counter({"queue": queue, "outcome": "failed"}, flow.scaled(0.01)),
        ]
    durations = tuple(
        Histogram({"queue": queue}, (Durations(Flow(1.5 + place, phase + place), 0.2 * (place + 1), 0.6),))
        for place, queue in enumerate(depths)
    )
    families = (
        Family("shop_jobs_total", "counter", "Jobs that workers took from a queue.", tuple(done)),
        Family(
            "shop_queue_jobs",
            "gauge",
            "Jobs that wait in a queue.",
            tuple(Gauge({"queue": queue}, depth) for queue, depth in depths.items()),
        ),
        Family("shop_job_duration_seconds", "histogram", "How long jobs took.", durations, "seconds"),
        *_process(phase, 95.0),
    )
    return Target("worker", f"worker-{number}", _team("shop"), families)


def _database(number: int, role: str) -> Target:
    phase = 4.0 + number
    connections = Flow(38.0, phase)
    families = [
        Family(
            "database_transactions_total",
            "counter",
            "Transactions that ended.",
            (
                Counter({"outcome": "commit"}, Flow(85.0, phase)),
                Counter({"outcome": "rollback"}, Flow(1.1, phase)),
            ),
        ),
        Family(
            "database_connections",
            "gauge",
            "Open connections by state.",
            (
                Gauge({"state": "active"}, lambda times_s: np.round(connections.rate(times_s))),
                Gauge({"state": "idle"}, lambda times_s: np.round(90 - connections.rate(times_s))),
            ),
        ),
        Family(
            "database_size_bytes",
            "gauge",
            "Bytes of all tables.",
            (Gauge({}, lambda times_s: np.round(42e9 + 2.1e4 * times_s)),),
            "bytes",
        ),
        *_process(phase, 2048.0),
    ]
    if role == "replica":
        families.append(
            Family(
                "database_replication_lag_seconds",
                "gauge",
                "How far the replica is behind its primary.",
                (Gauge({}, lambda times_s: np.round(0.2 + np.maximum(0, times_s % 2700 - 2400) / 20, 3)),),
                "seconds",
            )
        )
    return Target("database", f"db-{number}", {**_team("data"), "role": role}, tuple(families))


def _payments(phase: float) -> tuple[Family, ...]:
    flow = Flow(1.3, phase)
    return (
        Family(
            "payments_total",
            "counter",
            "Payments by what became of them.",
            (
                Counter({"outcome": "accepted"}, flow),
                Counter({"outcome": "declined"}, flow.scaled(0.06)),
            ),
        ),
        *_process(phase, 140.0),
    )


def _search() -> tuple[Family, ...]:
    def documents(shard: int) -> Gauge:
        return Gauge({"shard": str(shard)}, lambda times_s: np.round(4e5 + 900 * shard + times_s / 3))

    return (
        Family(
            "search_documents",
            "gauge",
            "Documents in the index, by shard.",
            tuple(map(documents, range(6))),
        ),
        *_process(7.0, 700.0),
    )


def _recommender() -> tuple[Family, ...]:
    return (
        Family(
            "recommender_suggestions_total",
            "counter",
            "Suggestions that were made.",
            (Counter({}, Flow(6.0, 3.3)),),
        ),
        *_process(8.0, 1300.0),
    )


def _sessions() -> tuple[Family, ...]:
    every = tuple(
        Counter({"session": f"{(number * 2654435761) % 2**32:08x}"}, Flow(0.05, number), number * SESSION_S)
        for number in range(SESSIONS_MAX)
    )
    return (
        Family(
            "session_clicks_total",
            "counter",
            "Clicks by session: a label with a value for every visitor, so that series never stop growing.",
            every,
        ),
        *_process(9.0, 210.0),
    )
