"""``python -m fireworks.workflow.finish --plan URL --status Succeeded``: the last pod of a run on a cluster.

Comes in: the status that Argo gives the Workflow. Goes out: the run's end, by `fireworks.workflow.closing`. It computes
nothing, and imports no torch.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Close the run; return the exit code."""
    from ..errors import FireworksError, TransientError
    from ..store import open_store
    from .closing import OUTCOMES, close_run, stage_causes
    from .history import RunFolder, split_plan_url

    parser = argparse.ArgumentParser(prog="python -m fireworks.workflow.finish", description="Record how a run ended.")
    parser.add_argument("--plan", required=True, help="URL of the plan: <store>/runs/<run id>/plan.json")
    parser.add_argument("--status", required=True, choices=sorted(OUTCOMES), help="as Argo says it")
    parser.add_argument("--failures", default="", help="Argo's list of failed nodes, as JSON")
    options = parser.parse_args(argv)
    try:
        base, run_id = split_plan_url(options.plan)
        store = open_store(base)
        causes = stage_causes(RunFolder(store, run_id).plan, _failures(options.failures))
        close_run(store, run_id, OUTCOMES[options.status], causes)
    except FireworksError as error:
        print(f"error: {error}", file=sys.stderr)
        return 75 if isinstance(error, TransientError) else 1
    return 0


def _failures(text: str) -> list[dict[str, str]]:
    """The list, or an empty one: what is not there, or was cut off, only costs the causes."""
    try:
        # What is too long for an argument, Argo's executor puts into a file, and gives its name.
        found = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text or "[]")
    except (json.JSONDecodeError, OSError):
        return []
    if isinstance(found, str):  # Argo quotes it once more in some places.
        return _failures(found)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


if __name__ == "__main__":
    sys.exit(main())
