"""When pods were created, scheduled, running, over: looked at ten times a second, because Kubernetes rounds to seconds.

Comes in: a cluster's client. Goes out: times, to `test_start_times.py` and `benchmarks/cluster/stage_overhead.py`.
"""

import time
from collections.abc import Callable
from typing import Any

from fireworks.workflow.argo.client import ClusterClient
from fireworks.workflow.argo.resources import PODS

Times = dict[str, float]


def timeline(client: ClusterClient, labels: str, over: Callable[[], bool], limit_s: float = 120) -> dict[str, Times]:
    """By pod, when each state was seen first, in seconds since the epoch."""
    seen: dict[str, Times] = {}
    deadline = time.monotonic() + limit_s
    while True:
        # Asked first: what happened just before the end is looked at, too.
        ended = over()
        for pod in client.list(PODS, labels=labels):
            _note(seen.setdefault(pod["metadata"]["name"], {}), pod, time.time())
        if ended:
            return seen
        assert time.monotonic() < deadline, f"pods of {labels} must end within {limit_s} s"
        time.sleep(0.1)


def _note(times: Times, pod: dict[str, Any], now: float) -> None:
    status = pod["status"]
    times.setdefault("created", now)
    if any(one["type"] == "PodScheduled" and one["status"] == "True" for one in status.get("conditions", [])):
        times.setdefault("scheduled", now)
    for container in status.get("containerStatuses", []):
        if container["name"] == "main":
            for state in ("running", "terminated"):
                if state in container["state"]:
                    times.setdefault(state, now)
    if status["phase"] in {"Succeeded", "Failed"}:
        times.setdefault("pod over", now)
