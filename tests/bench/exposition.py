"""Realistic bodies for simulated targets: a node exporter, and an HTTP service with histograms."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Line = tuple[str, Callable[[int], str]]


def _counter(generator: random.Random, busy: float) -> Callable[[int], str]:
    start, rate = generator.randrange(10**7), generator.choice((0.01, 0.2, 1, 13, 400)) * busy
    noise = [generator.random() for _ in range(16)]
    return lambda step: str(int(start + rate * step * 15 + noise[step % 16] * rate * 3))


def _seconds(generator: random.Random) -> Callable[[int], str]:
    start, rate = generator.randrange(10**6), generator.random()
    return lambda step: f"{start + rate * step * 15 + (step * 7919 % 100) / 100:.2f}"


def _gauge(generator: random.Random) -> Callable[[int], str]:
    base, swing = generator.randrange(10**9), generator.choice((0, 0, 4096, 10**6))
    return lambda step: str(base + (step * 2654435761 % 1000) * swing // 1000)


def _constant(generator: random.Random) -> Callable[[int], str]:
    value = str(generator.choice((0, 0, 1, 100, 4096, 8.589934592e09)))
    return lambda _: value


def node_like(generator: random.Random, series: int) -> Iterator[Line]:
    """About what a node exporter shows: many constants, counters of seconds, gauges of bytes."""
    makers: list[Callable[[random.Random], Callable[[int], str]]]
    makers = [_constant, _constant, _constant, _gauge, _seconds, lambda g: _counter(g, 1)]
    for index in range(series):
        family, member = divmod(index, 20)
        kind = makers[family % len(makers)]
        yield f'node_family_{family}_total{{cpu="{member}",mode="mode{member % 7}"}}', kind(generator)


def service_like(generator: random.Random, series: int) -> Iterator[Line]:
    """A service with request histograms: 16 buckets, sum and count a handler and code."""
    bounds = [
        "0.005",
        "0.01",
        "0.025",
        "0.05",
        "0.075",
        "0.1",
        "0.25",
        "0.5",
        "0.75",
        "1.0",
        "2.5",
        "5.0",
        "7.5",
        "10.0",
        "30.0",
        "+Inf",
    ]
    made = 0
    handler = 0
    while made < series:
        labels = f'handler="/api/v1/resource/{handler}",method="GET",code="{200 + handler % 4}"'
        busy = generator.choice((0.0, 0.1, 1.0, 10.0))
        for index, bound in enumerate(bounds):
            yield (
                f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}}',
                _counter(generator, busy * (index + 1) / 16),
            )
        yield (
            f"http_request_duration_seconds_sum{{{labels}}}",
            _seconds(generator) if busy else _constant(generator),
        )
        yield f"http_request_duration_seconds_count{{{labels}}}", _counter(generator, busy)
        made += 18
        handler += 1


def bodies(
    kind: str, series: int, steps: int, seed: int, *, renamed: float = 0.0, every: int = 10
) -> list[bytes]:
    """`steps` successive bodies of one kind; `renamed` of the series get a new name every `every` steps."""
    generator = random.Random(seed)
    maker = node_like if kind == "node" else service_like
    lines = []
    for line in maker(generator, series):
        lines.append(line)
        if len(lines) == series:
            break
    out = []
    for step in range(steps):
        text = []
        family = ""
        for index, (head, value) in enumerate(lines):
            name = head.partition("{")[0]
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            if base != family:
                family = base
                text.append(f"# HELP {base} A family of the simulated fleet.")
                text.append(f"# TYPE {base} {'histogram' if kind != 'node' else 'counter'}")
            if renamed and (index * 7919) % 1000 < renamed * 1000:
                head = head.replace("{", f'{{generation="{step // every}",', 1)
            text.append(f"{head} {value(step)}")
        out.append("\n".join(text).encode() + b"\n")
    return out
