"""How long it takes to compile a graph and to find what is wrong with it, against ``argo lint --offline``.

``make bench-cluster``, which builds the peer. Both read the same documents; each round measures both, one after the
other. The peer is a process of its own, whose start is part of what a person waits for: on ten stages it is most of it.

Comes in: graphs of `sizes.py`. Goes out: a line for each size; exit code 1 if 1,000 stages take more than the promised
0.5 s.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster.provider.settings import read_settings
from fireworks.records import Plan
from fireworks.workflow.argo.validator import validate
from sizes import compiled, graph

LIMIT_S, SIZES, ROUNDS = 0.5, (10, 1000), 5


def measure(plan: Plan, file: Path) -> tuple[float, float, float]:
    """Seconds to compile, to validate, and of the peer."""
    began = time.perf_counter()
    documents = compiled(plan)
    compiled_at = time.perf_counter()
    wrong = [finding for finding in validate(documents) if finding.severity == "error"]
    validated_at = time.perf_counter()
    file.write_text("---\n".join(f"{json.dumps(one)}\n" for one in documents), encoding="utf-8")
    started = time.perf_counter()
    lint = [str(read_settings().binary("argo")), "lint", "--offline", "--no-color", str(file)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    linted_at = time.perf_counter()
    if wrong or done.returncode:
        raise SystemExit(f"error: nothing is wrong with the graph, but {wrong} {done.stdout}{done.stderr}")
    return compiled_at - began, validated_at - compiled_at, linted_at - started


def main() -> int:
    """Print the medians."""
    parser = argparse.ArgumentParser(prog="validation", description="Time to compile and validate a graph.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"measurements (default: {ROUNDS})")
    options = parser.parse_args()
    late = False
    with tempfile.TemporaryDirectory(prefix="fireworks-") as folder:
        file = Path(folder) / "study.yaml"
        measure(graph(SIZES[0]), file)  # Imports Hera, and brings the peer into the page cache.
        for size in SIZES:
            plan = graph(size)
            times = [measure(plan, file) for _ in range(options.rounds)]
            compile_s, validate_s, peer_s = (statistics.median(column) for column in zip(*times, strict=True))
            print(
                f"{size:,} stages: compiled in {compile_s:.3f} s, validated in {validate_s:.3f} s; argo lint:"
                f" {peer_s:.3f} s, {peer_s / validate_s:.0f} times as long (medians of {options.rounds})"
            )
            late = late or compile_s + validate_s > LIMIT_S
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
