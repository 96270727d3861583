"""How long ``fireworks --help`` keeps a person waiting: user and system time, median of 21 starts.

Comes in: the installed command. Goes out: one line; exit code 1 if it is more than the 0.15 s that are promised.
"""

import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

LIMIT_S = 0.15
STARTS = 21


def measure(command: list[str]) -> float:
    """User and system seconds of one start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print the median."""
    beside = Path(sys.executable).with_name("fireworks")
    command = str(beside) if beside.exists() else shutil.which("fireworks")
    if command is None:
        print("error: fireworks must be installed. Run `make setup`.", file=sys.stderr)
        return 1
    measure([command, "--help"])
    median = statistics.median(measure([command, "--help"]) for _ in range(STARTS))
    print(f"fireworks --help: {median:.3f} s of user and system time (median of {STARTS}; limit {LIMIT_S} s)")
    return int(median > LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
