"""XOR2 chunks, as Prometheus 3.16 writes them and as the format says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.prometheus.xor2 import STALE_BITS, bits, encoded
from trimon.model.sample import STALE_NAN
from trimon.storage.prometheus.varint import FormatError
from trimon.storage.prometheus.xor2 import decode_chunks

XOR2 = [
    (
        (
            "000b00d00f3ff00000000000009875284dffee003b7fe7c001f01b54ff00000000004b283f4006f7fffffffffb4bc6ce"
            "0feffa0000000000007c00003ffffecde8a37ff8000000000001"
        ),
        [
            (1000, 1.0),
            (16000, 1.0),
            (31000, 1.0),
            (46000, 2.5),
            (61007, 2.5),
            (76007, STALE_NAN),
            (91007, 3.0),
            (120000, STALE_NAN),
            (9999999, 4.0),
            (10014999, np.uint64(0x7FF8000000000001).view(np.float64)),
            (1 << 45, 0.0),
        ],
    ),
    (
        "000683d00f7ff0000000000002e8079875c13600f5e0ea86f7e0abe1f78ad145e7c2fc8791000eb3fc07d000",
        [(1000, STALE_NAN), (16000, 7.0), (31000, 7.25), (46000, 8.0), (61000, 8.0), (76000, 1e300)],
    ),
    (
        "000501d00f40140000000000009875cc0be3247e0ea639944c1f56ef9d35da1942fff02049a0",
        [(1000, 5.0), (16000, 6.0), (31000, 7.0), (460000, 7.0), (475000, 9.0)],
    ),
    ("00010080a0abfef9624014000000000000", [(1_700_000_000_000, 5.0)]),
]


def test_xor2_chunks_of_prometheus_are_read() -> None:
    """Four chunks at once: stale markers, steps of every width, start timestamps from the first or a later sample."""
    raw = [bytes.fromhex(text) for text, _ in XOR2]
    lengths = np.array([len(chunk) for chunk in raw])
    data = np.frombuffer(b"".join(raw), np.uint8)
    times, values, counts = decode_chunks(data, np.cumsum(lengths) - lengths, lengths)
    expected = [pair for _, pairs in XOR2 for pair in pairs]
    assert counts.tolist() == [len(pairs) for _, pairs in XOR2]
    assert times.tolist() == [time_ms for time_ms, _ in expected]
    assert bits(values) == bits([value for _, value in expected])


VALUES = st.one_of(
    st.sampled_from([STALE_BITS, *bits([0.0, 1.0, 1.5, -3.25, 1e300])]), st.integers(0, 2**64 - 1)
)
STEPS = st.sampled_from([0, 15_000, 15_001, 15_000 + 4096, 15_000 - 4097, 600_000, 2**33])
CHUNKS = st.lists(st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=30), min_size=1, max_size=5)


@given(CHUNKS)
@settings(deadline=None, max_examples=150)
def test_any_xor2_chunk_comes_back(chunks: list[list[tuple[int, int]]]) -> None:
    """Chunks written bit by bit as the format says are read together, bit for bit; a cut one is an error."""
    whole = []
    for chunk in chunks:
        times = np.cumsum([step for step, _ in chunk]) + 1_700_000_000_000
        whole.append(list(zip(times.tolist(), [value for _, value in chunk], strict=True)))
    raw = [encoded(chunk) for chunk in whole]
    lengths = np.array([len(chunk) for chunk in raw])
    data = np.frombuffer(b"".join(raw), np.uint8)
    found_times, values, _ = decode_chunks(data, np.cumsum(lengths) - lengths, lengths)
    assert found_times.tolist() == [time_ms for chunk in whole for time_ms, _ in chunk]
    assert values.view(np.uint64).tolist() == [value for chunk in whole for _, value in chunk]
    with pytest.raises(FormatError):
        decode_chunks(data[: lengths[0] - 1], np.zeros(1, np.int64), lengths[:1] - 1)
