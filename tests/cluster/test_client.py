"""The client on a real API server, with Argo's full schemas. Neighbour: `fireworks.workflow.argo.client`."""

import secrets
import shlex
import time
from contextlib import suppress
from functools import partial

import pytest

from answering import write_kubeconfig
from cluster.access import Visitor, new_namespace, newest_stage_image
from cluster.provider.commands import wait_until
from fireworks.errors import (
    ClusterDenied,
    ClusterError,
    CredentialsExpired,
    ResourceExists,
    ResourceNotFound,
    ResourceRefused,
)
from fireworks.workflow.argo import ClusterClient
from fireworks.workflow.argo.podstates import PodState, pod_state
from fireworks.workflow.argo.resources import PODS, SECRETS, WORKFLOWS, WORKFLOWTEMPLATES, Right
from fireworks.workflow.argo.reviews import account_may, account_rights, may, who_am_i

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def _as_administrator(cluster, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))


@pytest.fixture
def client(cluster):
    return ClusterClient(namespace=cluster.namespace, patience_s=60)


@pytest.fixture
def name(client):
    """A name that is free again afterwards, whatever had it."""
    mine = f"client-{secrets.token_hex(4)}"
    yield mine
    for resource in (WORKFLOWS, WORKFLOWTEMPLATES, PODS):
        if client.find(resource, mine):
            client.delete(resource, mine, grace_s=0)


@pytest.fixture
def stage_image(cluster):
    return newest_stage_image(cluster.images())


@pytest.fixture
def visitor(cluster, client, tmp_path, monkeypatch):
    """Somebody without any rights, who acts from now on."""
    somebody = Visitor(cluster.kubectl, cluster.namespace)
    somebody.log_in(tmp_path / "config", client.transport.login.configuration)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    yield somebody
    somebody.leave()


def workflow(name, **spec):
    """Two tasks that need no pod."""
    tasks = [{"name": "a", "template": "never", "when": "false"}, {"name": "b", "template": "never", "when": "false"}]
    templates = [{"name": "main", "dag": {"tasks": tasks}}, {"name": "never", "suspend": {}}]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {"fireworks.io/run": name}},
        "spec": {"entrypoint": "main", "templates": templates, **spec},
    }


def pod(name, image, script):
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {"name": "main", "image": image, "command": ["python", "-uc", script], "securityContext": security}
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 8737, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_workflow_is_made_watched_changed_and_removed(client, name):
    made = client.create(WORKFLOWS, workflow(name))
    phases = []
    for change in client.watch(WORKFLOWS, labels=f"fireworks.io/run={name}", limit_s=60):
        phases.append(change.object.get("status", {}).get("phase"))
        if phases[-1] == "Succeeded":
            break
    assert "Succeeded" == phases[-1]
    changed = client.patch(
        WORKFLOWS, name, {"metadata": {"annotations": {"x": "y"}, "labels": {"fireworks.io/run": None}}}
    )
    assert ("y", made["metadata"]["uid"]) == (changed["metadata"]["annotations"]["x"], changed["metadata"]["uid"])
    assert [] == client.list(WORKFLOWS, labels=f"fireworks.io/run={name}")
    assert [name] == [one["metadata"]["name"] for one in client.list(WORKFLOWS, fields=f"metadata.name={name}")]
    changes = client.watch(WORKFLOWS, fields=f"metadata.name={name}", limit_s=30)
    assert "added" == next(changes).kind
    client.delete(WORKFLOWS, name)
    assert "deleted" == next(change.kind for change in changes if change.kind == "deleted")
    with pytest.raises(ResourceNotFound, match=f"workflows.argoproj.io '{name}' in namespace"):
        client.get(WORKFLOWS, name)


def test_a_template_is_made_once(client, name):
    template = {**workflow(name), "kind": "WorkflowTemplate"}
    made = client.ensure(WORKFLOWTEMPLATES, template)
    assert made["metadata"]["uid"] == client.ensure(WORKFLOWTEMPLATES, template)["metadata"]["uid"]
    with pytest.raises(ResourceExists, match="must be new, but there is one already"):
        client.ensure(WORKFLOWTEMPLATES, {**template, "spec": {**template["spec"], "parallelism": 3}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"entripoint": "main"}, 'unknown field "spec.entripoint"'),
        ({"parallelism": "three"}, "parallelism"),
        (
            {"arguments": {"parameters": [{"name": "x", "value": "x" * 3_200_000}]}},
            "must fit into the cluster's database",
        ),
    ],
)
def test_a_dry_run_finds_what_the_server_would_refuse_and_makes_nothing(client, name, spec, message):
    client.create(WORKFLOWS, workflow(name), dry_run=True)
    with pytest.raises(ResourceRefused, match=message) as caught:
        client.create(WORKFLOWS, workflow(name, **spec), dry_run=True)
    assert "\n" not in str(caught.value)
    assert client.find(WORKFLOWS, name) is None


def test_what_the_database_refuses_is_told_as_too_large(client, name):
    large = workflow(name, arguments={"parameters": [{"name": "x", "value": "x" * 2_000_000}]}, suspend=True)
    with pytest.raises(ResourceRefused, match="must fit into the cluster's database.*fireworks compile --budget"):
        client.create(WORKFLOWS, large)


def test_pod_security_says_what_it_wants(client, name):
    bare = {"containers": [{"name": "main", "image": "localhost/x:1"}]}
    with pytest.raises(ResourceRefused, match=r"violates PodSecurity .* Add what it names to the security context"):
        client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": bare})


def test_a_namespace_that_is_not_there_is_named(client):
    nowhere = ClusterClient(namespace="nowhere", patience_s=5)
    with pytest.raises(ResourceNotFound, match="the namespace must exist, but .* has no 'nowhere'"):
        nowhere.create(WORKFLOWS, workflow("x"), dry_run=True)


def test_a_full_quota_is_told(cluster, client):
    with new_namespace(cluster.kubectl) as crowded:
        cluster.kubectl("create", "quota", "none", "--hard=pods=0", f"--namespace={crowded}")
        with pytest.raises(ResourceRefused, match=r"exceeded quota: none.* have the quota raised"):
            ClusterClient(namespace=crowded, patience_s=5).create(PODS, pod("x", "localhost/x:1", "pass"))


def test_a_log_is_followed_from_before_the_start_to_the_end(client, name, stage_image):
    script = "import time\nfor number in range(40): print('line', number); time.sleep(0.05)"
    client.create(PODS, pod(name, stage_image, script))
    arrived = [(time.monotonic(), line) for line in client.logs(name, follow_on=True)]
    assert [f"line {number}" for number in range(40)] == [line.text for _, line in arrived]
    # It came as it was printed, over two seconds, not at the end.
    assert arrived[-1][0] - arrived[0][0] > 1
    assert [line for _, line in arrived] == list(client.logs(name))
    assert [line for _, line in arrived[20:]] == list(client.logs(name, since=arrived[19][1].time))
    states = (pod_state(change.object) for change in client.watch(PODS, fields=f"metadata.name={name}", limit_s=60))
    assert PodState("Succeeded", exit_code=0) == next(state for state in states if state.over)
    assert {"Scheduled", "Started"} <= {event["reason"] for event in client.events(name)}


def test_a_pod_that_no_node_takes_says_why(client, name):
    wanting = pod(name, "localhost/x:1", "pass")
    wanting["spec"]["nodeSelector"] = {"no": "such-node"}
    client.create(PODS, wanting)
    states = (pod_state(change.object) for change in client.watch(PODS, fields=f"metadata.name={name}", limit_s=60))
    state = next(state for state in states if state.reason)
    assert ("Pending", "Unschedulable", False) == (state.phase, state.reason, state.stuck)
    assert "didn't match Pod's node affinity/selector" in state.message


def test_a_log_of_a_pod_whose_image_is_missing_says_so(client, name):
    client.create(PODS, pod(name, "localhost/not-there:1", "pass"))
    with pytest.raises(
        ClusterError, match="'main' must start to have a log, but waits: (ErrImagePull|ImagePullBackOff)"
    ):
        list(client.logs(name, follow_on=True))


def listed(client, resource):
    """Whether it may list them by now: what is granted takes its time to reach the API server's memory."""
    with suppress(ClusterDenied):
        return isinstance(client.list(resource), list)
    return False


def test_what_is_missing_is_named_and_the_printed_command_grants_it(cluster, visitor):
    stranger = ClusterClient(namespace=cluster.namespace, patience_s=30)
    assert visitor.user == who_am_i(stranger)
    for resource, right in ((WORKFLOWS, "list workflows.argoproj.io"), (SECRETS, "list secrets")):
        with pytest.raises(ClusterDenied, match=f"'{visitor.user}' must be allowed to {right} in namespace") as caught:
            stranger.list(resource)
        for command in str(caught.value).partition("to run: kubectl ")[2].split(" && kubectl "):
            cluster.kubectl(*shlex.split(command))
            visitor.granted.append(shlex.split(command))
        wait_until(partial(listed, stranger, resource), f"{right} must be granted", 20)
    assert may(stranger, Right("create", "workflows", "argoproj.io"))
    assert not may(stranger, Right("create", "secrets"))


def test_an_account_that_was_removed_is_no_longer_known(visitor, cluster):
    client = ClusterClient(namespace=cluster.namespace, patience_s=30)
    with pytest.raises(ClusterDenied):
        client.list(PODS)
    visitor.leave()
    with pytest.raises(
        CredentialsExpired, match=r"does not accept the credentials of context 'here' of .*Log in again"
    ):
        _until_something_else(ClusterDenied, lambda: client.list(PODS))


def _until_something_else(expected, call):
    """The API server remembers a token for some seconds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            call()
        except expected:
            time.sleep(1)


def test_a_wrong_token_is_told(client, tmp_path, monkeypatch):
    configuration = client.transport.login.configuration
    file = write_kubeconfig(tmp_path / "config", client.server, {"token": "wrong"}, authority=configuration.ssl_ca_cert)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(CredentialsExpired, match="they are wrong or have expired"):
        ClusterClient(patience_s=5).list(PODS)


def test_rights_of_an_account_are_listed(client):
    assert {Right(verb, "workflowtaskresults", "argoproj.io") for verb in ("create", "patch")} == account_rights(
        client, "stage"
    )
    assert account_may(client, "stage", Right("patch", "workflowtaskresults", "argoproj.io"))
    assert not account_may(client, "stage", Right("get", "secrets"))
