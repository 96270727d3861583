"""`fireworks doctor` on a real cluster, each failure provoked. Neighbour: `fireworks.workflow.argo.diagnosis`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.access import Visitor, new_namespace
from cluster.provider import images
from fireworks.cli import main
from fireworks.store import open_store
from fireworks.workflow.argo import ClusterClient
from fireworks.workflow.argo.diagnosis import Case, controller, examine
from fireworks.workflow.argo.diagnosis.accounts import check_stage
from fireworks.workflow.argo.diagnosis.examining import CHECKS
from fireworks.workflow.argo.resources import PODS, WORKFLOWS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

BASE = Path(__file__).parents[2] / "manifests" / "base"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(autouse=True)
def _settings(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("FIREWORKS_PROFILE", "FIREWORKS_STORE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def doctor(cluster):
    """Findings by name, of all checks."""

    def look(**settings):
        store = f"{cluster.s3_url()}/doctor-tests"
        given = {"namespace": cluster.namespace, "store": store, "store_in_pods": store, "limit_s": 180.0, **settings}
        found = list(examine(Case(**given)))
        print(*found, sep="\n")
        assert [name for name, _, _ in CHECKS] == [check.name for check in found]
        return {check.name: check for check in found}

    return look


@pytest.fixture
def stage_image():
    return images.stage_image()


@pytest.fixture
def visitor(cluster, tmp_path, monkeypatch):
    """Somebody without any rights, who acts from now on."""
    somebody = Visitor(cluster.kubectl, cluster.namespace)
    somebody.log_in(tmp_path / "config", ClusterClient().transport.login.configuration)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    yield somebody
    somebody.leave()


def failures(found):
    return {name for name, check in found.items() if check.ok is False}


def test_all_is_well_and_nothing_is_left_behind(cluster, stage_image, capfd):
    store = f"{cluster.s3_url()}/doctor-tests"
    arguments = ["--namespace", cluster.namespace, "--store", store, "--image", stage_image]
    code = main(["doctor", *arguments])
    out, err = capfd.readouterr()
    print(out)
    assert (0, "") == (code, err)
    marks = {line[2:23].rstrip(): line[0] for line in out.splitlines()}
    assert dict.fromkeys((name for name, _, _ in CHECKS[1:]), "✓") == {name: marks[name] for name, _, _ in CHECKS[1:]}
    assert "full schemas of Argo 3.6 or 3.7" in out
    assert "and nothing else" in out
    client = ClusterClient(namespace=cluster.namespace)
    assert [] == client.list(WORKFLOWS, labels="app.kubernetes.io/managed-by=fireworks-doctor")
    left = client.list(PODS, labels="app.kubernetes.io/managed-by=fireworks-doctor")
    assert [] == [one for one in left if "deletionTimestamp" not in one["metadata"]]
    assert [] == list(open_store(store).list("doctor"))


def test_the_controllers_defaults_reach_workflows_that_say_nothing(cluster):
    case = Case(namespace=cluster.namespace, store="memory://doctor", store_in_pods="memory://doctor")
    found = {check.name: check for check in examine(case)}
    assert found["Argo's controller"].ok
    assert {"activeDeadlineSeconds", "podGC", "securityContext"} <= set(case.learnt["executed"])


def test_json_with_a_namespace_that_is_not_there(cluster, capfd):
    arguments = ["--namespace", "nowhere", "--store", f"{cluster.s3_url()}/doctor-tests", "--json"]
    assert 1 == main(["doctor", *arguments])
    result = json.loads(capfd.readouterr().out)
    checks = {check["name"]: check for check in result["checks"]}
    assert (False, {"namespace"}) == (result["ok"], {name for name, check in checks.items() if check["ok"] is False})
    assert "there is no namespace 'nowhere'" == checks["namespace"]["detail"]
    assert "kubectl apply --server-side -k manifests/base" in checks["namespace"]["remedy"]
    assert "not asked: rests on namespace" == checks["image"]["detail"]


def test_somebody_without_rights_is_told_which(doctor, visitor):
    found = doctor(image="localhost/not-there:1")
    check = found["rights to submit"]
    assert not check.ok
    for text in ("create/delete/get/list/patch/watch workflows.argoproj.io", "get/list/watch pods/log", visitor.user):
        assert text in check.detail
    assert f"create rolebinding {visitor.namespace}-{visitor.name} --role=submitter" in check.remedy
    assert "not asked: rests on rights to submit" == found["Argo's controller"].detail
    assert (None, "not for us to see: needs the right to get configmaps") == (
        found["controller's settings"].ok,
        found["controller's settings"].detail,
    )
    # Neither pods nor workflows.
    assert (None, "not for us to see: needs the right to create workflows") == (
        found["image"].ok,
        found["image"].detail,
    )
    assert {"rights to submit"} == failures(found)


def test_somebody_who_may_submit_and_no_more_learns_what_matters(doctor, visitor, stage_image):
    visitor.may_submit()
    found = doctor(image=stage_image)
    assert set() == failures(found)
    good = {"namespace", "rights to submit", "Argo's controller", "Argo's schemas", "image", "store from a pod"}
    assert good <= {name for name, check in found.items() if check.ok}
    assert "a workflow started and ended" in found["image"].detail
    assert {None} == {found[name].ok for name in ("Pod Security", "account of stages", "store's credentials")}
    missing = doctor(image="localhost/not-there:1")
    assert {"image"} == failures(missing)
    assert "ErrImagePull" in missing["image"].detail or "ImagePullBackOff" in missing["image"].detail


def test_a_namespace_of_nothing_lacks_everything(cluster, doctor):
    with new_namespace(cluster.kubectl) as empty:
        found = doctor(namespace=empty, image="localhost/not-there:1")
    # Argo's controller watches one namespace, another.
    assert {"Argo's controller", "account of stages", "store's credentials", "image"} == failures(found)
    assert "no controller has taken up a workflow" in found["Argo's controller"].detail
    assert "there is no ServiceAccount 'stage'" in found["account of stages"].detail
    assert "store-credentials --from-env-file=FILE" in found["store's credentials"].remedy
    assert found["store's settings"].ok is None
    assert (None, "nothing is enforced") == (found["Pod Security"].ok, found["Pod Security"].detail)
    assert "serviceaccount" in found["image"].detail


def test_an_account_without_and_with_too_many_rights(cluster):
    with new_namespace(cluster.kubectl) as other:
        where = f"--namespace={other}"
        cluster.kubectl("create", "serviceaccount", "stage", where)
        case = Case(store="", store_in_pods="", client=ClusterClient(namespace=other))
        check = check_stage(case)
        assert (False, True) == (check.ok, "may not create/patch workflowtaskresults" in check.detail)
        cluster.kubectl(
            "create", "role", "x", "--verb=create,patch", "--resource=workflowtaskresults.argoproj.io", where
        )
        cluster.kubectl("create", "role", "y", "--verb=get", "--resource=secrets", where)
        for role in ("x", "y"):
            cluster.kubectl("create", "rolebinding", role, f"--role={role}", f"--serviceaccount={other}:stage", where)
        check = check_stage(case)
    assert (False, "'stage' may do more than it needs: get secrets") == (check.ok, check.detail)


def test_a_missing_secret_is_named_twice(cluster, doctor, stage_image, monkeypatch):
    monkeypatch.setattr(controller, "_LIMIT_S", 1.0)
    with new_namespace(cluster.kubectl, RESTRICTED) as other:
        cluster.kubectl("create", "serviceaccount", "stage", f"--namespace={other}")
        found = doctor(namespace=other, image=stage_image)
    assert found["image"].ok
    assert found["Pod Security"].ok
    assert "there is no Secret 'store-credentials'" in found["store's credentials"].detail
    assert not found["store from a pod"].ok
    assert 'secret "store-credentials" not found' in found["store from a pod"].detail


@pytest.mark.parametrize(
    ("settings", "here", "there"),
    [
        (
            {"store": "s3://not-there/x", "store_in_pods": "s3://not-there/x"},
            "the bucket must exist",
            "the bucket must exist",
        ),
        ({"store": "/proc/nothing", "store_in_pods": "/proc/nothing"}, "", "no pod can reach it"),
    ],
)
def test_a_store_that_is_not_one_fails_from_both_sides(doctor, stage_image, settings, here, there):
    found = doctor(image=stage_image, **settings)
    assert {"store", "store from a pod"} == failures(found)
    assert here in found["store"].detail
    assert there in found["store from a pod"].detail
    assert "not asked: rests on store" == found["store's clock"].detail


def test_a_store_that_does_not_answer_fails_here_alone(doctor, stage_image, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    found = doctor(image=stage_image, patience_s=1.0)
    assert {"store"} == failures(found)
    assert "no connection" in found["store"].detail
    assert found["store from a pod"].ok


def test_an_image_that_is_missing_or_none_of_ours(cluster, doctor):
    found = doctor(image="localhost/not-there:1")
    assert {"image"} == failures(found)
    assert "ErrImagePull" in found["image"].detail or "ImagePullBackOff" in found["image"].detail
    assert found["image"].remedy.startswith("Correct the image's name")
    assert "not asked: rests on image" == found["store from a pod"].detail
    other = next(name for name in cluster.images() if name.startswith("localhost/pause:"))
    found = doctor(image=other)
    assert {"image"} == failures(found)
    assert '"python": executable file not found' in found["image"].detail


def test_a_pod_that_is_too_large_for_the_namespace_is_told(cluster, doctor, monkeypatch):
    monkeypatch.setattr(controller, "_LIMIT_S", 1.0)
    with new_namespace(cluster.kubectl) as other:
        where = f"--namespace={other}"
        cluster.kubectl("create", "serviceaccount", "stage", where)
        limits = {"type": "Pod", "max": {"memory": "64Mi"}}
        limit = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "x", "namespace": other}}
        cluster.kubectl.apply([{**limit, "spec": {"limits": [limits]}}])
        found = doctor(namespace=other, image="localhost/not-there:1")
    assert "maximum memory usage per Pod is 64Mi" in found["image"].detail


def test_doctor_starts_no_torch(cluster):
    script = (
        "import sys; from fireworks.cli import main;"
        f"main(['doctor', '--json', '--namespace', {cluster.namespace!r}, '--store', 'memory://x']);"
        "print(sorted({'torch', 'numpy', 'pandas', 'pyarrow', 'hera'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert "[]" == done.stderr.strip()
