"""How much memory the process may use, and how much it uses, as the kernel sees it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trimon.records import dataclass

FLAG: Final = "--storage.memory-max"
CGROUP: Final = "cgroup"
ADDRESS_SPACE: Final = "RLIMIT_AS"
MACHINE: Final = "machine"
# What version 1 of cgroups says where there is no limit is close to this.
_NONE_BYTES: Final = 1 << 62
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A number of bytes and who says so."""

    size_bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class Cgroup:
    """Limit and use of the tightest cgroup that the process is in."""

    limit_bytes: int
    used_bytes: int


def memory_limit(flag_bytes: int, root: Path = Path("/")) -> MemoryLimit:
    """What the flag says; else the least of the cgroup's limit, RLIMIT_AS and the machine's memory."""
    if flag_bytes:
        return MemoryLimit(flag_bytes, FLAG)
    found = [MemoryLimit(_PAGE_BYTES * os.sysconf("SC_PHYS_PAGES"), MACHINE)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found.append(MemoryLimit(soft, ADDRESS_SPACE))
    cgroup = cgroup_of(root)
    if cgroup is not None:
        found.append(MemoryLimit(cgroup.limit_bytes, CGROUP))
    return min(found, key=lambda limit: limit.size_bytes)


def cgroup_of(root: Path = Path("/")) -> Cgroup | None:
    """The tightest limit of the process' cgroup and those it is in, of either version; None where there is none."""
    found = [
        Cgroup(limit_bytes, _number(folder / used) or 0)
        for folder, limit, used in _folders(root)
        if (limit_bytes := _number(folder / limit)) is not None and 0 < limit_bytes < _NONE_BYTES
    ]
    return min(found, key=lambda cgroup: cgroup.limit_bytes, default=None)


def _folders(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Every folder that may hold a limit, with the names of its two files."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            mount, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            mount, limit, used = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        folder = mount / path.strip("/")
        while True:  # in a container the path is often that of the host: then only the mount itself is there
            yield folder, limit, used
            if folder == mount or mount not in folder.parents:
                break
            folder = folder.parent


def _number(path: Path) -> int | None:
    """The number in a file; None when there is neither (`max` is none)."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def resident_bytes() -> int:
    """The memory that the process has now; some microseconds."""
    return _statm(1)


def address_bytes() -> int:
    """The size of the process' address space, which is what RLIMIT_AS limits."""
    return _statm(0)


def anonymous_bytes() -> int:
    """What of the process' memory is in no file, which the kernel cannot take back; some ten microseconds."""
    try:
        lines = Path("/proc/self/status").read_bytes().split(b"\n")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(b"RssAnon:")), 0)


def _statm(field: int) -> int:
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 # twice as quick as a Path, four times a second
            return int(file.read().split()[field]) * _PAGE_BYTES
    except OSError:
        return 0
