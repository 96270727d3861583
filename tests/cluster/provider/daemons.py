"""Processes that outlive the command that starts them, each with a log and a record of who it is.

Comes in: commands of `control_plane`, `containerd`, `storage` and `argo`. Goes out: running processes.
"""

import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .commands import SYSTEM_PATH, most_telling, run
from .interface import ClusterError

# The group is entered before the program starts, so that no child of it can be outside.
_START = 'echo $$ >"$1" && log=$2 && shift 2 && { "$@" >>"$log" 2>&1 & echo $!; }'


# All are written in Go, and none has much in memory. At Go's own pace a quarter of what the API server computed was
# collecting garbage.
_GARBAGE = "GOGC=400"


@dataclass(frozen=True)
class Daemon:
    """A program that runs as long as the cluster."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Supervisor:
    """Starts daemons and knows which of them run; keeps no state but files."""

    records: Path
    logs: Path

    def start(self, daemon: Daemon, group: Path, *, again: bool = False) -> None:
        """Run it in the background, in the cgroup whose `cgroup.procs` is given; `again` keeps what it has logged."""
        for folder in (self.records, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{daemon.name}.log"
        if not again:
            log.write_bytes(b"")
        environment = [f"{name}={value}" for name, value in daemon.environment.items()]
        clean = ["env", "-i", f"PATH={SYSTEM_PATH}", "HOME=/", "LC_ALL=C.UTF-8", _GARBAGE, *environment]
        printed = run("setsid", *clean, "sh", "-c", _START, "sh", group, log, *daemon.command)
        pid = int(printed)
        (self.records / f"{daemon.name}.json").write_text(json.dumps([pid, _started_at(pid)]), encoding="ascii")

    def names(self) -> list[str]:
        """The daemons that were started, running or not, oldest first."""
        records = sorted(self.records.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [record.stem for record in records]

    def pid(self, name: str) -> int | None:
        """Its process, or None if that has ended; a process that got the same number later is not it."""
        try:
            pid, started_at = json.loads((self.records / f"{name}.json").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if started_at is not None and _started_at(pid) == started_at else None

    def check(self) -> None:
        """Raise if one has ended, with the last thing it said."""
        for name in self.names():
            if self.pid(name) is None:
                raise ClusterError(f"{name} must run, but has ended: {self.last_words(name)}. See `make cluster-logs`.")

    def stop(self, name: str, limit_s: float = 3, *, kill: bool = False) -> None:
        """SIGTERM, and time to save what it has; then SIGKILL, or whoever is left is killed with its group."""
        sent, deadline = signal.SIGTERM, time.monotonic() + limit_s
        pid = self.pid(name)
        while pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
            while (pid := self.pid(name)) is not None and time.monotonic() < deadline:
                time.sleep(0.02)
            if not kill:
                return
            sent, deadline = signal.SIGKILL, time.monotonic() + 1

    def tail(self, name: str, lines: int) -> list[str]:
        """The end of its log."""
        log = self.logs / f"{name}.log"
        if not log.exists():
            return []
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 400 * lines - 4000))
            return file.read().decode(errors="replace").splitlines()[-lines:]

    def last_words(self, name: str) -> str:
        """What it said last of what went wrong."""
        return most_telling(self.tail(name, 50)) or "its log is empty"


def _started_at(pid: int) -> int | None:
    """Clock ticks after boot; None if the process has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
