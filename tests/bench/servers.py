"""The servers that are compared: how each is started, and what the system says about its cost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

ROOT = Path(__file__).parent.parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")

# Other peers than those on the path.
PROMETHEUS = os.environ.get("PROMETHEUS_BIN", "prometheus")
VICTORIA = os.environ.get("VICTORIA_BIN", "victoria-metrics")

# Compiled modules are written and found again, as where a package is installed: else each start compiles them all.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPATH": str(ROOT)
}


# The same ones for a whole run: what is started again is found where it was.
PORTS = {kind: free_port() for kind in ("trimon", "prometheus", "victoria")}


@dataclass
class Cost:
    """What a process has used until now."""

    cpu_s: float
    anonymous_bytes: int


@dataclass
class Server:
    """One server process on a directory of its own."""

    kind: str
    directory: Path
    config: Path | None = None
    flags: list[str] = field(default_factory=list)
    cores: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return PORTS[self.kind]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The command line; the same limits for all."""
        listen = f"127.0.0.1:{self.port}"
        if self.kind == "trimon":
            base = [sys.executable, "-m", "trimon", f"--storage.tsdb.path={self.directory}", f"--web.listen-address={listen}",
                    "--web.enable-remote-write-receiver", "--web.enable-admin-api"]  # fmt: skip
        elif self.kind == "prometheus":
            base = [PROMETHEUS, f"--storage.tsdb.path={self.directory}", f"--web.listen-address={listen}",
                    "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=error"]  # fmt: skip
        else:
            base = [VICTORIA, f"-storageDataPath={self.directory}", f"-httpListenAddr={listen}",
                    "-retentionPeriod=12", "-loggerLevel=ERROR", "-search.latencyOffset=0s"]  # fmt: skip
        if self.config is not None:
            base.append(
                f"-promscrape.config={self.config}"
                if self.kind == "victoria"
                else f"--config.file={self.config}"
            )
        if self.cores:
            base = ["taskset", "-c", self.cores, *base]
        return base + self.flags

    def start(self, within_s: float = 120.0) -> float:
        """Starts it; the seconds until it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        log = (self.directory.parent / f"{self.kind}.log").open("ab")
        began = time.monotonic()
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=_ENVIRONMENT)
        path = "/health" if self.kind == "victoria" else "/-/ready"
        while time.monotonic() - began < within_s:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with {self.process.returncode}, see its log")
            try:
                with urllib.request.urlopen(self.url + path, timeout=2):
                    return time.monotonic() - began
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        raise RuntimeError(f"{self.kind} is not ready")

    def pid(self) -> int:
        """The server's own process."""
        assert self.process is not None
        return self.process.pid

    def cost(self) -> Cost:
        """CPU from the process accounting, memory as anonymous PSS."""
        fields = Path(f"/proc/{self.pid()}/stat").read_text().rpartition(")")[2].split()
        anonymous = 0
        for line in Path(f"/proc/{self.pid()}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                anonymous = int(line.split()[1]) * 1024
        return Cost((int(fields[11]) + int(fields[12])) / _TICKS, anonymous)

    def get(self, path: str, params: dict[str, str] | None = None, timeout_s: float = 120.0) -> Any:
        """A parsed JSON answer."""
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        with urllib.request.urlopen(self.url + path + query, timeout=timeout_s) as answer:
            return json.loads(answer.read())

    def value(self, expr: str, at: float | None = None) -> float:
        """The only value of an instant query, NaN if there is none."""
        params = {"query": expr} | ({"time": f"{at:.3f}"} if at is not None else {})
        result = self.get("/api/v1/query", params)["data"]["result"]
        return float(result[0]["value"][1]) if result else float("nan")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it and waits."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def clean(self) -> None:
        """Removes its data."""
        shutil.rmtree(self.directory, ignore_errors=True)


def disk_bytes(directory: Path) -> int:
    """Bytes of all files below."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def installed() -> list[str]:
    """The kinds that can be started here, trimon first."""
    return [
        "trimon",
        *[
            kind
            for kind, program in (("prometheus", PROMETHEUS), ("victoria", VICTORIA))
            if shutil.which(program)
        ],
    ]


def table(title: str, rows: list[tuple[str, dict[str, float]]], goals: dict[str, str] | None = None) -> str:
    """A Markdown table of figures by server, with trimon's ratio to each peer."""
    kinds = list(rows[0][1])
    peers = [kind for kind in kinds if kind != "trimon"]
    head = ["what", *kinds, *[f"÷ {kind}" for kind in peers], "goal"]
    out = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, values in rows:
        cells = [f"{values[kind]:.4g}" for kind in kinds]
        cells += [f"{values['trimon'] / values[kind]:.2f}" if values.get(kind) else "" for kind in peers]
        out.append("| " + " | ".join([name, *cells, (goals or {}).get(name, "")]) + " |")
    return "\n".join(out)
