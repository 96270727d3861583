"""Why a pod does not run. Neighbour: `fireworks.workflow.argo.podstates`."""

import pytest

from fireworks.workflow.argo.podstates import PodState, pod_state


def container(name="main", **state):
    return {"name": name, "state": state}


def waiting(reason, message=None):
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(code, reason, message=None):
    return {"terminated": {"exitCode": code, "reason": reason} | ({"message": message} if message else {})}


UNSCHEDULED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available:\n1 Insufficient nvidia.com/gpu.",
}


@pytest.mark.parametrize(
    ("status", "state", "text"),
    [
        (None, PodState("Pending"), "Pending"),
        (
            {"phase": "Pending", "conditions": [UNSCHEDULED]},
            PodState("Pending", "Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
            "Pending: Unschedulable, 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        ),
        (
            {"phase": "Pending", "containerStatuses": [container(**waiting("ImagePullBackOff", "Back-off"))]},
            PodState("Pending", "ImagePullBackOff", "Back-off", stuck=True),
            "Pending: ImagePullBackOff, Back-off",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [container("init", **waiting("CreateContainerConfigError", "no secret"))],
                "containerStatuses": [container(**waiting("PodInitializing"))],
            },
            PodState("Pending", "CreateContainerConfigError", "no secret", stuck=True),
            "Pending: CreateContainerConfigError, no secret",
        ),
        (
            {"phase": "Pending", "containerStatuses": [container(**waiting("ContainerCreating"))]},
            PodState("Pending", "ContainerCreating"),
            "Pending: ContainerCreating",
        ),
        ({"phase": "Running", "containerStatuses": [container(running={})]}, PodState("Running"), "Running"),
        (
            {"phase": "Succeeded", "containerStatuses": [container(**ended(0, "Completed"))]},
            PodState("Succeeded", exit_code=0),
            "Succeeded",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [container("wait", **ended(0, "x")), container(**ended(137, "OOMKilled"))],
            },
            PodState("Failed", "OOMKilled", exit_code=137),
            "Failed: OOMKilled",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            PodState("Failed", "Evicted", "The node was low on resource: memory."),
            "Failed: Evicted, The node was low on resource: memory.",
        ),
        (
            # The executor is still at work beside it.
            {"phase": "Running", "containerStatuses": [container(**ended(1, "Error")), container("wait", running={})]},
            PodState("Running", "Error", exit_code=1),
            "Running: Error",
        ),
    ],
)
def test_states(status, state, text):
    actual = pod_state({} if status is None else {"status": status})
    assert state == actual
    assert text == str(actual)
    assert actual.over == (state.phase in {"Succeeded", "Failed"})
