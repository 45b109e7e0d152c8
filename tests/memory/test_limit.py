"""Where the limit of memory comes from."""

from __future__ import annotations

import mmap
import os
import resource
from pathlib import Path

import pytest

from trimon.memory.limit import (
    ADDRESS_SPACE,
    CGROUP,
    FLAG,
    MACHINE,
    Cgroup,
    MemoryLimit,
    address_bytes,
    cgroup_of,
    memory_limit,
    resident_bytes,
)
from trimon.memory.plan import RESERVE_BYTES_MAX, USABLE_BYTES_MIN, divide

MIB = 2**20


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_the_tightest_of_nested_cgroups_counts(tmp_path: Path) -> None:
    """Version 2: a limit of the cgroup itself and of one that it is in; `max` is none."""
    put(tmp_path, "proc/self/cgroup", "0::/a/b/c\n")
    put(tmp_path, "sys/fs/cgroup/a/b/c/memory.max", "max\n")
    put(tmp_path, "sys/fs/cgroup/a/b/memory.max", f"{700 * MIB}\n")
    put(tmp_path, "sys/fs/cgroup/a/b/memory.current", "5\n")
    put(tmp_path, "sys/fs/cgroup/a/memory.max", f"{900 * MIB}\n")
    assert cgroup_of(tmp_path) == Cgroup(700 * MIB, 5)


def test_version_1_and_paths_of_the_host(tmp_path: Path) -> None:
    """Version 1: in a container the path is the host's, and the limit stands at the mount; a huge one is none."""
    put(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/1234\n0::/\n")
    memory = "sys/fs/cgroup/memory/memory."
    put(tmp_path, f"{memory}limit_in_bytes", "9223372036854771712\n")
    assert cgroup_of(tmp_path) is None
    put(tmp_path, f"{memory}limit_in_bytes", f"{300 * MIB}\n")
    put(tmp_path, f"{memory}usage_in_bytes", "7\n")
    assert cgroup_of(tmp_path) == Cgroup(300 * MIB, 7)


@pytest.mark.usefixtures("unlimited")
def test_the_least_limit_counts_and_the_flag_before_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flag, else the least of cgroup, RLIMIT_AS and machine."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_limit(0, tmp_path) == MemoryLimit(machine_bytes, MACHINE)
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "sys/fs/cgroup/memory.max", f"{500 * MIB}\n")
    assert memory_limit(0, tmp_path) == MemoryLimit(500 * MIB, CGROUP)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (400 * MIB, resource.RLIM_INFINITY))
    assert memory_limit(0, tmp_path) == MemoryLimit(400 * MIB, ADDRESS_SPACE)
    assert memory_limit(2**40, tmp_path) == MemoryLimit(2**40, FLAG)


def test_what_the_kernel_counts() -> None:
    """Memory that is touched is counted as resident, and is part of the address space."""
    before = resident_bytes()
    with mmap.mmap(-1, 64 * MIB) as block:  # what the heap has may be memory already
        block[::4096] = b"x" * (len(block) // 4096)
        assert resident_bytes() - before > 48 * MIB
        assert address_bytes() > resident_bytes() > len(block)


@pytest.mark.parametrize("size_mib", [64, 256, 2048, 65_536])
def test_shares_and_base_are_the_budget(size_mib: int) -> None:
    """All shares together are the limit less reserve and base, at least so much that anything can be done."""
    limit = MemoryLimit(size_mib * MIB, FLAG)
    plan = divide(limit, 60 * MIB)
    assert sum(plan.shares().values()) == max(plan.budget_bytes - 60 * MIB, USABLE_BYTES_MIN)
    assert 0 < limit.size_bytes - plan.budget_bytes <= RESERVE_BYTES_MAX
    assert plan.head_bytes > plan.queries_bytes > plan.bodies_bytes > 0


def test_an_address_space_has_a_larger_reserve() -> None:
    """Stacks and mapped files count in it."""
    of_space = divide(MemoryLimit(1000 * MIB, ADDRESS_SPACE), 0)
    assert of_space.budget_bytes < divide(MemoryLimit(1000 * MIB, CGROUP), 0).budget_bytes
