"""Running other programs: one line of error, no terminal, no surprise from the environment.

Comes in: a command. Goes out: its output, or a `ClusterError`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .interface import ClusterError

_BAD = ("error", "fatal", "fail", "panic", "mismatch")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    *command: str | Path,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    limit_s: float | None = 120,
) -> str:
    """The command's output.

    Raises:
        ClusterError: If it is not there, fails or takes longer; the last line it wrote is the reason.
    """
    shown = f"{Path(command[0]).name} {' '.join(str(part) for part in command[1:3])}".strip()
    try:
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env={**_inherited(), **(environment or {})},
            cwd=folder or "/",
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"`{shown}` must run, but {command[0]} is not there. Install it.") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{shown}` must end within {limit_s:g} s, but did not.") from error
    if done.returncode:
        reason = most_telling(f"{done.stdout}\n{done.stderr}".splitlines()) or f"exit code {done.returncode}"
        raise ClusterError(f"`{shown}` must succeed, but: {reason}")
    return done.stdout


def as_program(main: Callable[[list[str]], int]) -> NoReturn:
    """Call it with the words of the command line, and exit. Ctrl-C and SIGTERM end what `run` waits for, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        print("error: stopped before its end. Run it again: what is complete is kept.", file=sys.stderr)
        code = 130
    sys.exit(code)


def most_telling(lines: Sequence[str]) -> str:
    """The last line that says what went wrong, or the last one at all; shortened."""
    written = [line.strip() for line in lines if line.strip()]
    bad = [line for line in written if any(word in line.lower() for word in _BAD)]
    return (bad or written or [""])[-1][:400]


def _inherited() -> dict[str, str]:
    """The environment without what would lead a client to another cluster or store."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "AWS_", "ARGO_"))}
    path = kept.get("PATH", "")
    return {**kept, "PATH": f"{path}:{SYSTEM_PATH}" if path else SYSTEM_PATH, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster."""

    binary: Path
    kubeconfig: Path
    cache: Path
    context: str = ""

    def __call__(self, *arguments: str | Path, stdin: str | None = None, limit_s: float = 120) -> str:
        options = [f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}"]
        options += [f"--context={self.context}"] if self.context else []
        return run(self.binary, *arguments, *options, stdin=stdin, limit_s=limit_s)

    def get(self, *arguments: str) -> Any:
        """What `get` finds, decoded."""
        return json.loads(self("get", *arguments, "--output=json"))

    def apply(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Create the objects or bring them to this form."""
        if not objects:
            return
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=listed)

    def answers(self, path: str = "/readyz") -> bool:
        """Whether the API server says ok."""
        try:
            return self("get", f"--raw={path}", "--request-timeout=5s", limit_s=10).strip() == "ok"
        except ClusterError:
            return False


@contextmanager
def step(name: str) -> Iterator[None]:
    """A line of progress: what is done now, then how long it took."""
    started = time.monotonic()
    sys.stdout.write(f"{name:<48} ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        sys.stdout.write("failed\n")
        raise
    sys.stdout.write(f"{time.monotonic() - started:6.1f} s\n")
    sys.stdout.flush()


def wait_until(
    ready: Callable[[], bool], what: str, limit_s: float = 90, check: Callable[[], None] | None = None
) -> None:
    """Return once `ready` says so.

    Args:
        ready: Asked five times a second.
        what: Completes "… must …" in the error.
        limit_s: How long to wait.
        check: Called in between; raises if waiting is in vain.
    """
    deadline = time.monotonic() + limit_s
    while not ready():
        if check is not None:
            check()
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}, but did not within {limit_s:g} s. See `make cluster-logs`.")
        time.sleep(0.2)
