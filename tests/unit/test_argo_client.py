"""The client against a server that misbehaves. Neighbours: `fireworks.workflow.argo.client`, `transport`, `faults`."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from answering import Reply, answering, refusal, write_kubeconfig
from fireworks.errors import (
    ClusterDenied,
    ClusterError,
    ClusterUnavailable,
    CredentialsExpired,
    KubeconfigError,
    ResourceExists,
    ResourceNotFound,
    ResourceRefused,
)
from fireworks.workflow.argo import ClusterClient
from fireworks.workflow.argo.resources import (
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    STAGE_RIGHTS,
    SUBMITTER_RIGHTS,
    WORKFLOWS,
    WORKFLOWTEMPLATES,
    Right,
    granting,
)

BASE = Path(__file__).parents[2] / "manifests" / "base"
ALL = "/apis/argoproj.io/v1alpha1/namespaces/fireworks/workflows"
ONE = f"{ALL}/x"
WORKFLOW = {"kind": "Workflow", "metadata": {"name": "x"}, "spec": {"entrypoint": "main", "templates": [{"name": "a"}]}}
THERE = {**WORKFLOW, "metadata": {"name": "x", "uid": "1", "resourceVersion": "7"}}
TAKEN = refusal(409, 'workflows.argoproj.io "x" already exists', "AlreadyExists")


@pytest.fixture
def server():
    with answering() as running:
        yield running


@pytest.fixture
def kubeconfig(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    return write_kubeconfig(tmp_path / "config", server.url)


@pytest.fixture
def client(kubeconfig):
    return ClusterClient(patience_s=5, timeout_s=2)


@pytest.fixture
def hasty(kubeconfig):
    return ClusterClient(patience_s=0.3)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, fireworks.workflow.argo.diagnosis, fireworks.workflow.argo.podstates, fireworks.cli.doctor\n"
        "print({'torch', 'numpy', 'pandas', 'pyarrow', 'kubernetes', 'hera', 'yaml'} & set(sys.modules) or 'none')"
    )
    assert "none" == subprocess.check_output([sys.executable, "-c", code], text=True).strip()


@pytest.mark.parametrize(
    ("spoiled", "pause_s"),
    [
        (refusal(503, "apiserver is shutting down"), 0),
        (refusal(500, "etcdserver: request timed out"), 0),
        (refusal(429, "too many requests", Retry_After="1"), 1),
        (Reply(502, "<html>Bad Gateway</html>"), 0),
        (Reply(end="reset"), 0),
        (Reply(end="hang"), 2),
    ],
)
def test_what_passes_is_waited_for(server, client, spoiled, pause_s):
    server.on(f"GET {ONE}", spoiled, Reply(body=THERE))
    started = time.monotonic()
    assert THERE == client.get(WORKFLOWS, "x")
    assert 2 == len(server.requests)
    assert pause_s <= time.monotonic() - started < pause_s + 2


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (refusal(503, "apiserver is shutting down"), r"did not \(503, apiserver is shutting down\)"),
        (refusal(429, "wait", Retry_After="60"), r"did not \(429, wait\)"),
        (Reply(502, "<html>\n <h1>Bad Gateway</h1></html>"), "502, <html> <h1>Bad Gateway"),
        (Reply(end="reset"), "connection lost"),
        (Reply(end="hang"), "timed out"),
    ],
)
def test_patience_ends(server, hasty, spoiled, message):
    server.on(f"GET {ONE}", spoiled)
    started = time.monotonic()
    with pytest.raises(ClusterUnavailable, match=message) as caught:
        hasty.get(WORKFLOWS, "x")
    assert time.monotonic() - started < 1.5
    assert "\n" not in str(caught.value)
    assert f"context 'here' of {Path(server.url).name}" not in str(caught.value)


def test_nobody_listening_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")))
    with pytest.raises(ClusterUnavailable, match=r"http://127.0.0.1:1 did not \(no connection\).* context 'here' of"):
        ClusterClient(patience_s=0.2).version()


def test_certificates_that_do_not_fit_are_not_waited_for(server, tmp_path, monkeypatch):
    https = server.url.replace("http:", "https:")
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", https)))
    started = time.monotonic()
    with pytest.raises(KubeconfigError, match=r"certificates must fit.* Get a new kubeconfig"):
        ClusterClient(patience_s=10).version()
    assert time.monotonic() - started < 3


CANNOT = 'User "{}" cannot {} resource "{}" in API group "{}" in the namespace "fireworks"'


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (
            refusal(
                403, f"workflows is forbidden: {CANNOT.format('ada', 'get', 'workflows', 'argoproj.io')}", "Forbidden"
            ),
            ClusterDenied,
            (
                "'ada' must be allowed to get workflows.argoproj.io in namespace fireworks, but is not. .*"
                "kubectl -n fireworks create rolebinding ada --role=submitter --user=ada$"
            ),
        ),
        (
            refusal(
                403, f"workflows is forbidden: {CANNOT.format('system:anonymous', 'get', 'workflows', 'argoproj.io')}"
            ),
            CredentialsExpired,
            "does not accept the credentials",
        ),
        (
            refusal(403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'),
            ResourceRefused,
            "violates PodSecurity .*runAsNonRoot != true. Add what it names to the security context",
        ),
        (
            refusal(403, 'pods "x" is forbidden: exceeded quota: fireworks, requested: pods=1'),
            ResourceRefused,
            "exceeded quota: fireworks.* have the quota raised",
        ),
        (
            refusal(403, "unable to create: namespace is being terminated"),
            ResourceRefused,
            "Wait until the namespace is gone",
        ),
        (
            refusal(400, 'admission webhook "w" denied the request: no'),
            ResourceRefused,
            'webhook "w" denied the request: no',
        ),
        (
            refusal(422, "spec.x: Required value", "Invalid"),
            ResourceRefused,
            "but: spec.x: Required value. Correct it.",
        ),
        (refusal(413, "Request entity too large"), ResourceRefused, "must fit into the cluster's database"),
        (refusal(500, "etcdserver: request is too large"), ResourceRefused, "must fit into the cluster's database"),
        (
            refusal(404, 'workflows.argoproj.io "x" not found', "NotFound"),
            ResourceNotFound,
            "'x' in namespace fireworks must",
        ),
        (
            refusal(404, 'namespaces "fireworks" not found', "NotFound"),
            ResourceNotFound,
            "has no 'fireworks'. .*manifests/base",
        ),
        (Reply(404, "404 page not found"), ClusterError, "Argo Workflows must be installed.* kubectl apply"),
        (
            refusal(404, "the server could not find the requested resource"),
            ClusterError,
            "Argo Workflows must be installed",
        ),
        (refusal(409, "the object has been modified", "Conflict"), ResourceExists, "must not change meanwhile"),
        (TAKEN, ResourceExists, "must be new, but there is one already"),
    ],
)
def test_refusals_are_told_apart_and_not_tried_again(server, client, reply, kind, message):
    server.on(f"GET {ONE}", reply)
    with pytest.raises(ClusterError, match=message) as caught:
        client.get(WORKFLOWS, "x")
    assert kind is type(caught.value)
    assert (2 if kind is CredentialsExpired else 1) == len(server.requests)  # Newer credentials are looked for.
    assert "\n" not in str(caught.value)


def test_what_is_missing_can_be_read_from_the_error(server, client):
    said = CANNOT.format("system:serviceaccount:fireworks:bob", "delete", "secrets", "")
    server.on("GET /api/v1/namespaces/fireworks/pods/x", refusal(403, f"secrets is forbidden: {said}"))
    with pytest.raises(ClusterDenied) as caught:
        client.get(PODS, "x")
    assert ("delete", "secrets") == (caught.value.verb, caught.value.resource)
    assert "--serviceaccount=fireworks:bob" in str(caught.value)


def test_renewed_credentials_are_taken_up(server, client, kubeconfig):
    server.on(f"GET {ONE}", refusal(401, "Unauthorized"), Reply(body=THERE))
    write_kubeconfig(kubeconfig, server.url, {"token": "second"})
    assert THERE == client.get(WORKFLOWS, "x")
    assert ["Bearer first", "Bearer second"] == [one["headers"]["authorization"] for one in server.requests]


@pytest.mark.parametrize("unreadable", [False, True])
def test_expired_credentials_are_named(server, client, kubeconfig, unreadable):
    server.on(f"GET {ONE}", refusal(401, "Unauthorized"))
    if unreadable:
        kubeconfig.write_text("{")
    with pytest.raises(CredentialsExpired, match=r"have expired. Log in again, or get a new kubeconfig"):
        client.get(WORKFLOWS, "x")
    assert 2 == len(server.requests)


def test_a_creation_is_strict_and_names_us(server, client):
    server.on(f"POST {ALL}", Reply(201, THERE))
    assert THERE == client.create(WORKFLOWS, WORKFLOW)
    client.create(WORKFLOWS, WORKFLOW, dry_run=True)
    real, dry = server.asked(f"POST {ALL}")
    assert {"fieldValidation": "Strict", "fieldManager": "fireworks"} == real["query"]
    assert {**real["query"], "dryRun": "All"} == dry["query"]
    assert WORKFLOW == real["body"]


@pytest.mark.parametrize("lost", [Reply(end="reset"), refusal(504, "gateway timeout")])
def test_a_creation_whose_answer_was_lost_is_ours(server, client, lost):
    server.on(f"POST {ALL}", lost, TAKEN)
    server.on(f"GET {ONE}", Reply(body=THERE))
    assert THERE == client.create(WORKFLOWS, WORKFLOW)


def test_a_creation_that_another_won_is_not_ours(server, client):
    server.on(f"POST {ALL}", Reply(end="reset"), TAKEN)
    server.on(f"GET {ONE}", Reply(body={**THERE, "spec": {"entrypoint": "other"}}))
    with pytest.raises(ResourceExists, match="there is one already"):
        client.create(WORKFLOWS, WORKFLOW)


def test_without_a_name_a_creation_is_not_repeated(server, client):
    server.on(f"POST {ALL}", Reply(end="reset"))
    with pytest.raises(ClusterUnavailable, match="connection lost"):
        client.create(WORKFLOWS, {**WORKFLOW, "metadata": {"generateName": "x-"}})
    assert 1 == len(server.requests)


@pytest.mark.parametrize(("spec", "same"), [(WORKFLOW["spec"], True), ({"entrypoint": "other"}, False)])
def test_a_template_is_ensured(server, client, spec, same):
    path = "/apis/argoproj.io/v1alpha1/namespaces/fireworks/workflowtemplates"
    server.on(f"POST {path}", TAKEN)
    server.on(f"GET {path}/x", Reply(body={**THERE, "spec": spec}))
    if same:
        assert spec == client.ensure(WORKFLOWTEMPLATES, WORKFLOW)["spec"]
    else:
        with pytest.raises(ResourceExists):
            client.ensure(WORKFLOWTEMPLATES, WORKFLOW)


def test_a_deletion_whose_answer_was_lost_is_done(server, client):
    gone = refusal(404, 'workflows.argoproj.io "x" not found')
    server.on(f"DELETE {ONE}", Reply(end="reset"), gone)
    client.delete(WORKFLOWS, "x", grace_s=5)
    assert 5 == server.requests[0]["body"]["gracePeriodSeconds"]
    server.on(f"DELETE {ONE}", gone)
    with pytest.raises(ResourceNotFound):
        client.delete(WORKFLOWS, "x")


def test_a_patch_is_a_merge_patch(server, client):
    server.on(f"PATCH {ONE}", Reply(body=THERE))
    assert THERE == client.patch(WORKFLOWS, "x", {"spec": {"shutdown": "Terminate"}})
    [asked] = server.requests
    assert ("application/merge-patch+json", {"spec": {"shutdown": "Terminate"}}) == (
        asked["headers"]["content-type"],
        asked["body"],
    )


def page(*names, more=""):
    items = [{"metadata": {"name": name, "uid": name, "resourceVersion": "1"}} for name in names]
    return Reply(body={"metadata": {"resourceVersion": "9", "continue": more}, "items": items})


def test_a_list_goes_over_all_pages_and_begins_again_when_they_expire(server, client):
    expired = refusal(410, "The provided continue parameter is too old", "Expired")
    server.on(f"GET {ALL}", page("a", more="p2"), expired, page("a", "b", more="p3"), page("c"))
    found = client.list(WORKFLOWS, labels="fireworks.io/run=r")
    assert ["a", "b", "c"] == [one["metadata"]["name"] for one in found]
    assert [None, "p2", None, "p3"] == [one["query"].get("continue") for one in server.requests]
    assert {"fireworks.io/run=r"} == {one["query"]["labelSelector"] for one in server.requests}


def test_find_is_none_for_what_is_not_there(server, client):
    server.on(f"GET {ONE}", refusal(404, "not found"), Reply(body=THERE))
    assert client.find(WORKFLOWS, "x") is None
    assert THERE == client.find(WORKFLOWS, "x")


def test_events_are_in_order(server, client):
    events = [{"lastTimestamp": None, "eventTime": "2026-01-02"}, {"lastTimestamp": "2026-01-01"}]
    server.on(
        "GET /api/v1/namespaces/fireworks/events", Reply(body={"metadata": {"resourceVersion": "1"}, "items": events})
    )
    assert events[::-1] == client.events("pod", "u")
    assert "involvedObject.name=pod,involvedObject.uid=u" == server.requests[0]["query"]["fieldSelector"]


@pytest.mark.parametrize(
    ("resource", "name", "path"),
    [
        (WORKFLOWS, "x", "/apis/argoproj.io/v1alpha1/namespaces/lab/workflows/x"),
        (PODS, None, "/api/v1/namespaces/lab/pods"),
        (PODS, "../x", "/api/v1/namespaces/lab/pods/..%2Fx"),
        (NAMESPACES, "lab", "/api/v1/namespaces/lab"),
        (DEPLOYMENTS, "d", "/apis/apps/v1/namespaces/lab/deployments/d"),
    ],
)
def test_paths(resource, name, path):
    assert path == resource.path("lab", name)


@pytest.mark.parametrize(
    ("right", "namespace", "user", "command"),
    [
        (
            Right("get", "secrets"),
            "lab",
            "ada@x.org",
            (
                "kubectl -n lab create role ada-x.org-get-secrets --verb=get --resource=secrets && "
                "kubectl -n lab create rolebinding ada-x.org-get-secrets --role=ada-x.org-get-secrets --user=ada@x.org"
            ),
        ),
        (
            Right("list", "pods/log"),
            "lab",
            "system:serviceaccount:ci:bot",
            "kubectl -n lab create rolebinding ci-bot --role=submitter --serviceaccount=ci:bot",
        ),
        (
            Right("get", "customresourcedefinitions", "apiextensions.k8s.io"),
            "",
            "eve;x",
            (
                "kubectl create clusterrole eve-x-get-customresourcedefinitions --verb=get "
                "--resource=customresourcedefinitions.apiextensions.k8s.io && kubectl create clusterrolebinding "
                "eve-x-get-customresourcedefinitions --clusterrole=eve-x-get-customresourcedefinitions '--user=eve;x'"
            ),
        ),
    ],
)
def test_the_command_that_grants_a_right(right, namespace, user, command):
    assert command == granting(right, namespace, user)


@pytest.mark.parametrize(("file", "table"), [("submitter-role", SUBMITTER_RIGHTS), ("stage-account", STAGE_RIGHTS)])
def test_rights_are_those_of_the_manifests(file, table):
    text = (BASE / f"{file}.yaml").read_text()
    rule = r"apiGroups: \[(.*?)\]\s+resources: \[(.*?)\]\s+verbs: \[(.*?)\]"
    found = {
        (group.strip('"'), resource): tuple(verbs.split(", "))
        for group, resources, verbs in re.findall(rule, text)
        for resource in resources.split(", ")
    }
    assert table == found
