"""`fireworks doctor` without a cluster. Neighbours: `fireworks.workflow.argo.diagnosis`, `fireworks.cli.doctor`."""

import json
import os
import subprocess
import sys

import pytest

from answering import Reply, answering, refusal, write_kubeconfig
from fireworks.cli import main
from fireworks.errors import ClusterDenied, StoreUnavailable
from fireworks.workflow.argo.diagnosis import Case, Check, examine
from fireworks.workflow.argo.diagnosis.checks import failed
from fireworks.workflow.argo.diagnosis.cluster import argo_release, check_engine, judge_clock
from fireworks.workflow.argo.diagnosis.controller import _lacking, _wanting, seconds
from fireworks.workflow.argo.diagnosis.examining import CHECKS
from fireworks.workflow.argo.diagnosis.probe import PROGRAM

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
VERSION = {"gitVersion": "v1.36.3"}


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    for name in ("FIREWORKS_PROFILE", "FIREWORKS_STORE", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.fireworks]\nstore = "store"\n')


@pytest.fixture
def server(tmp_path):
    with answering() as running:
        write_kubeconfig(tmp_path / "config", running.url)
        running.on("GET /version", Reply(body=VERSION))
        yield running


def examined(tmp_path, **settings):
    """Findings by name."""
    store = str(tmp_path / "store")
    case = Case(**{"store": store, "store_in_pods": store, "patience_s": 0.3, **settings})
    return {check.name: check for check in examine(case)}


def test_without_a_kubeconfig_only_the_store_is_asked(tmp_path):
    found = examined(tmp_path)
    assert [name for name, _, _ in CHECKS] == list(found)
    assert not found["kubeconfig"].ok
    assert "KUBECONFIG must name a file that exists" in found["kubeconfig"].detail
    assert found["kubeconfig"].remedy.startswith("Correct it")
    assert Check("API server", None, "not asked: rests on kubeconfig") == found["API server"]
    assert Check("Pod Security", None, "not asked: rests on namespace") == found["Pod Security"]
    assert found["store"].ok
    assert Check("store's clock", ok=True, detail="is ours") == found["store's clock"]
    assert {"kubeconfig"} == {name for name, check in found.items() if check.ok is False}


def test_an_api_that_does_not_answer_is_the_one_failure(tmp_path):
    write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    found = examined(tmp_path)
    assert found["kubeconfig"].ok
    assert "http://127.0.0.1:1 did not (no connection)" in found["API server"].detail
    assert {"API server"} == {name for name, check in found.items() if check.ok is False}


def test_what_we_may_not_see_is_no_failure(server, tmp_path):
    said = (
        'configmaps is forbidden: User "ada" cannot get resource "configmaps" in API group "" in the namespace "argo"'
    )
    for name in ("workflow-controller-configmap", "workflow-controller-environment"):
        server.on(f"GET /api/v1/namespaces/argo/configmaps/{name}", refusal(403, said, "Forbidden"))
    found = examined(tmp_path)
    expected = "not for us to see: needs the right to get configmaps"
    assert (None, expected) == (found["controller's settings"].ok, found["controller's settings"].detail)
    assert (None, expected) == (found["controller's pace"].ok, found["controller's pace"].detail)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"executor": "[1, 2]"}, "`executor` is [1, 2]"),
        ({"executor": "securityContext: yes"}, "`executor.securityContext` is True"),
        ({"executor": "securityContext: {capabilities: [ALL]}"}, "`executor.securityContext.capabilities` is ['ALL']"),
        ({"workflowDefaults": "spec: 5"}, "`workflowDefaults.spec` is 5"),
        ({"failedPodRestart": "on", "workflowDefaults": "x"}, "is 'x', `failedPodRestart` is True"),
        ({"config": "executor: 1.5"}, "`executor` is 1.5"),
    ],
)
def test_settings_of_odd_types_are_told(data, said, server, tmp_path):
    where = "GET /api/v1/namespaces/argo/configmaps/workflow-controller-configmap"
    server.on(where, Reply(body={"metadata": {"name": "x"}, "data": data}))
    check = examined(tmp_path)["controller's settings"]
    assert (False, True) == (check.ok, "must hold mappings, but " in check.detail)
    assert said in check.detail


def test_an_answer_that_nobody_foresaw_is_a_line_and_the_rest_goes_on(server, tmp_path):
    where = "GET /api/v1/namespaces/argo/configmaps/workflow-controller-configmap"
    data = {"executor": "securityContext: {capabilities: {drop: 7}}"}
    server.on(where, Reply(body={"metadata": {"name": "x"}, "data": data}))
    server.on("GET /version", Reply(body=["1.36"]))
    found = examined(tmp_path)
    assert [name for name, _, _ in CHECKS] == list(found)
    assert found["API server"].ok is False
    assert found["API server"].detail.startswith("the answer is not understood (TypeError: ")
    assert found["API server"].remedy
    assert found["store"].ok
    server.on("GET /version", Reply(body=VERSION))
    assert examined(tmp_path)["controller's settings"].detail.startswith("the answer is not understood (TypeError: ")


def test_a_cluster_without_argo_is_told(server, tmp_path):
    server.on("GET /apis/argoproj.io/v1alpha1", Reply(404, "404 page not found"))
    check = examined(tmp_path)["Argo's schemas"]
    assert not check.ok
    assert check.detail.startswith("Argo Workflows must be installed")
    assert "kubectl apply --server-side -k manifests/components/argo" in check.remedy


def test_an_argo_without_task_results_is_too_old(server, tmp_path):
    resources = [{"name": "workflows"}, {"name": "workflowtemplates"}]
    server.on("GET /apis/argoproj.io/v1alpha1", Reply(body={"resources": resources}))
    check = examined(tmp_path)["Argo's schemas"]
    assert (False, "this Argo is too old, or not whole: it has no workflowtaskresults") == (check.ok, check.detail)


def test_a_clock_of_another_year_fails(server, tmp_path):
    server.on("GET /version", Reply(body=VERSION, headers={"Date": DATE}))
    # http.server adds the true date first.
    server.RequestHandlerClass.date_time_string = lambda self, timestamp=None: DATE
    try:
        check = examined(tmp_path)["API server's clock"]
    finally:
        del server.RequestHandlerClass.date_time_string
    assert not check.ok
    assert " s behind ours" in check.detail


@pytest.mark.parametrize(
    ("stated", "ok", "detail"),
    [
        (1000, True, "agrees with ours"),
        (1003, True, "agrees with ours"),
        (999, True, "agrees with ours"),
        (1005, True, "is 3 s ahead of ours"),
        (1012, None, "is 10 s ahead of ours"),
        (989, None, "is 10 s behind ours"),
        (1402, False, "is 400 s ahead of ours"),
        (599, False, "is 400 s behind ours"),
    ],
)
def test_clocks(stated, ok, detail):
    found = judge_clock(stated, earliest=1000.0, latest=1002.0)
    assert (ok, detail, ok is True) == (found.ok, found.detail, found.remedy == "")


def schemas(template=(), locks=(), spec=()):
    templates = {"items": {"properties": {key: {} for key in template}}}
    fields = {
        "templates": templates,
        "synchronization": {"properties": {key: {} for key in locks}},
        **{key: {} for key in spec},
    }
    workflow = {"properties": {"spec": {"properties": fields}}}
    return {
        "components": {"schemas": {"io.argoproj.v1alpha1.Workflow": workflow, "io.argoproj.v1alpha1.WorkflowList": {}}}
    }


@pytest.mark.parametrize(
    ("document", "release"),
    [
        (schemas(), None),
        ({"components": {"schemas": {}}}, None),
        (schemas(["dag"], ["mutex"]), "before 3.6"),
        (schemas(["dag"], ["mutex", "mutexes"]), "3.6 or 3.7"),
        (schemas(["dag"], ["mutexes"]), "4.0"),
        (schemas(["dag", "pendingTimeout"], ["mutexes"]), "4.1 or newer"),
    ],
)
def test_releases_are_told_by_their_fields(document, release):
    assert release == argo_release(document)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1s", 1.0),
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("1.5s", 1.5),
        ("2h", 7200.0),
        ("", None),
        ("10", None),
        ("soon", None),
    ],
)
def test_durations_of_go(text, value):
    assert value == seconds(text)


SECURE = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize(
    ("security", "lacking"),
    [
        (SECURE, []),
        ({**SECURE, "runAsNonRoot": False}, ["runAsNonRoot: true"]),
        ({**SECURE, "capabilities": None}, ["capabilities: {drop: [ALL]}"]),
        ({**SECURE, "seccompProfile": {"type": "Unconfined"}}, ["seccompProfile: {type: RuntimeDefault}"]),
        ({key: value for key, value in SECURE.items() if key[0] != "a"}, ["allowPrivilegeEscalation: false"]),
    ],
)
def test_what_pod_security_wants_of_argos_containers(security, lacking):
    assert lacking == _lacking({"securityContext": security})


def test_what_the_controllers_settings_could_do_better():
    spec = {"activeDeadlineSeconds": 1, "podGC": {}, "ttlStrategy": {}, "securityContext": {}}
    good = {"workflowDefaults": {"spec": spec}}
    assert [] == _wanting(good, "3.6 or 3.7")
    [note] = _wanting({"workflowDefaults": {"spec": {**spec} | {}}} | {"workflowDefaults": {"spec": {"podGC": {}}}}, "")
    assert note.startswith("workflowDefaults lack activeDeadlineSeconds, ttlStrategy, securityContext")
    [note] = _wanting(good, "4.1 or newer")
    assert note.startswith("failedPodRestart is off")
    assert [] == _wanting({**good, "failedPodRestart": {"enabled": True}}, "4.1 or newer")


def test_an_error_is_parted_into_what_and_remedy():
    found = failed(StoreUnavailable("the store must answer, but s3://a.b did not (503). Check\nthe network."))
    assert ("the store must answer, but s3://a.b did not (503)", "Check the network.") == (found.detail, found.remedy)
    assert "do this" == failed(ClusterDenied("no"), "do this").remedy


def test_an_engine_that_answers_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check_engine(Case(store="", store_in_pods="")).ok is None
    for name, script in (("docker", "exit 1"), ("podman", "echo 5.4.0")):  # A docker client without an engine.
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    assert "podman 5.4.0" == check_engine(Case(store="", store_in_pods="")).detail
    # So does an old client whose daemon is away.
    (tmp_path / "docker").write_text("#!/bin/sh\necho; echo 'Cannot connect to the daemon' >&2\n")
    assert "podman 5.4.0" == check_engine(Case(store="", store_in_pods="")).detail
    (tmp_path / "podman").unlink()
    assert check_engine(Case(store="", store_in_pods="")).ok is None


@pytest.mark.parametrize("good", [True, False])
def test_what_the_pod_runs_uses_the_store_and_tells_of_it(tmp_path, good):
    store = tmp_path / "store"
    if not good:
        store.write_text("in the way")
    command = [sys.executable, "-c", PROGRAM, str(store), "doctor/x"]
    answer = json.loads(subprocess.check_output(command, text=True, env=dict(os.environ)))
    if good:
        assert {"time", "version", "import_s", "store_s"} == set(answer)
        assert [] == [path for path in store.rglob("*") if path.is_file()]
    else:
        assert {"time", "version", "import_s", "error", "kind"} == set(answer)
        assert "\n" not in answer["error"]


def test_the_command_line_draws_a_line_a_check_and_fails(capfd):
    assert 1 == main(["doctor"])
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert "" == err
    assert [name for name, _, _ in CHECKS] == [line[2:23].rstrip() for line in lines]
    assert {"✓", "✗", "–"} == {line[0] for line in lines}
    [failure] = [line for line in lines if line.startswith("✗")]
    assert "but" in failure
    assert ". Correct it, or unset it" in failure


def test_json_is_one_object(capfd):
    assert 1 == main(["doctor", "--json", "--store", "s3://user:password@bucket"])
    result = json.loads(capfd.readouterr().out)
    assert result["ok"] is False
    assert [{"name", "ok", "detail", "remedy"}] * len(CHECKS) == [set(check) for check in result["checks"]]
    assert {"kubeconfig", "store"} == {check["name"] for check in result["checks"] if check["ok"] is False}
    assert "password@" not in json.dumps(result)


def test_the_profile_is_heeded(server, tmp_path, capfd):
    write_kubeconfig(tmp_path / "config", server.url, context="lab")
    text = 'context = "lob"\nimage = "i:1"\nnamespace = "n"'
    (tmp_path / "pyproject.toml").write_text(f"[tool.fireworks.profile.p]\n{text}\n")
    assert 1 == main(["doctor", "--profile", "p", "--json"])
    checks = {check["name"]: check for check in json.loads(capfd.readouterr().out)["checks"]}
    assert "Did you mean 'lab'?" in checks["kubeconfig"]["remedy"]
    server.on("GET /api/v1/namespaces/n", refusal(404, 'namespaces "n" not found', "NotFound"))
    assert 1 == main(["doctor", "--profile", "p", "--context", "lab", "--json"])
    checks = {check["name"]: check for check in json.loads(capfd.readouterr().out)["checks"]}
    assert "there is no namespace 'n'" == checks["namespace"]["detail"]
