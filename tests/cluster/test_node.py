"""The node cluster: what runs in it. Neighbours: `provider/node.py`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.nodes import SECURITY, pod, pod_that_waits, processes_in, running, running_node
from cluster.provider import ClusterError, building, choose
from cluster.provider.archive import write_archive
from cluster.provider.commands import wait_until
from cluster.provider.existing import Existing
from cluster.provider.settings import BRIDGE, NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def node():
    return running_node()


@pytest.fixture
def waiting_pod(node):
    with pod_that_waits(node) as name:
        yield name


def test_a_workflow_of_three_levels_succeeds(node):
    stage = {
        "name": "stage",
        "container": {
            "image": node.settings.executor_image,
            "command": ["argoexec", "version"],
            "securityContext": SECURITY,
        },
    }
    tasks = [
        {"name": "a", "template": "stage"},
        {"name": "b", "template": "stage", "depends": "a", "withSequence": {"count": "3"}},
        {"name": "c", "template": "stage", "depends": "b"},
    ]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "levels", "namespace": NAMESPACE},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": "stage",
            "activeDeadlineSeconds": 120,
            "templates": [{"name": "main", "dag": {"tasks": tasks}}, stage],
        },
    }
    node.kubectl.apply([workflow])
    try:
        question = ("workflow", "levels", f"--namespace={NAMESPACE}")
        wait_until(lambda: node.kubectl.get(*question).get("status", {}).get("finishedAt"), "it must end", 130)
        status = node.kubectl.get(*question)["status"]
        assert ("Succeeded", "5/5") == (status["phase"], status["progress"])
    finally:
        node.kubectl("delete", "workflow", "levels", f"--namespace={NAMESPACE}")


def test_kubectl_speaks_of_the_runs_if_no_namespace_is_named(node):
    assert "serviceaccount/stage" in node.kubectl("get", "serviceaccounts", "--output=name").split()


@pytest.mark.parametrize(("asked", "given"), [("1", "250m"), ("2500m", "250m"), ("100m", "100m")])
def test_stages_take_turns_rather_than_wait_for_a_processor(node, asked, given):
    one = pod("much", node.settings.executor_image)
    one["spec"]["containers"][0]["resources"] = {"requests": {"cpu": asked, "memory": "8Mi"}}
    made = json.loads(node.kubectl("create", "--dry-run=server", "--output=json", "-f", "-", stdin=json.dumps(one)))
    [container] = made["spec"]["containers"]
    assert {"cpu": given, "memory": "8Mi"} == container["resources"]["requests"]


def test_pods_reach_the_api_server_and_s3_and_no_other_port_of_the_machine(node, waiting_pod):
    [container] = node.kubectl.get("pod", waiting_pod, f"--namespace={NAMESPACE}")["status"]["containerStatuses"]
    [process, *_] = processes_in(container["containerID"].rpartition("/")[2])
    ports = [
        ("10.244.0.1", 6443),
        ("10.96.0.1", 443),
        ("10.244.0.1", 8333),
        ("10.244.0.1", 8888),
        ("10.244.0.1", 10250),
    ]
    program = "import socket, sys; print([socket.socket().connect_ex(place) == 0 for place in eval(sys.argv[1])])"
    entered = ["nsenter", f"--target={process}", "--net", sys.executable, "-c", program, repr(ports)]
    assert "[True, True, True, False, False]" == subprocess.check_output(entered, text=True).strip()


def test_the_bridge_keeps_its_address_when_pods_come_and_go(node):
    """Pods would send to the old one for up to a minute."""
    bridge = Path("/sys/class/net", BRIDGE)
    before = (bridge / "address").read_text(encoding="ascii")
    with pod_that_waits(node):
        assert before == (bridge / "address").read_text(encoding="ascii")
    # As include/uapi/linux/netdevice.h has it: set, neither permanent nor made up.
    assert "3\n" == (bridge / "addr_assign_type").read_text(encoding="ascii")


def test_an_image_that_is_loaded_runs(node, tmp_path):
    name = "localhost/loaded-by-a-test:1"
    write_archive(tmp_path / "image.tar", name, {"/wait": building.pause_program(node.settings)}, {"User": "8737"})
    assert [name] == node.load_image(tmp_path / "image.tar")
    node.kubectl.apply([pod("loaded", name, ["/wait"])])
    try:
        wait_until(lambda: running(node, "loaded"), "the pod must run", 60)
    finally:
        node.kubectl("delete", "pod", "loaded", f"--namespace={NAMESPACE}", "--grace-period=1")


def test_logs_are_of_every_part(node):
    text = node.logs(3)
    assert [name for name in node.supervisor.names() if f"==> {name} " not in text] == []


def test_a_module_that_go_sum_does_not_know_is_refused(tmp_path):
    shutil.copytree(building.GO / "argo", tmp_path, dirs_exist_ok=True)
    sums = (tmp_path / "go.sum").read_text(encoding="ascii").splitlines(keepends=True)
    ours = [line.replace("h1:", "h1:AAAA", 1)[:-6] + "\n" if "argo-workflows/v3 v" in line else line for line in sums]
    (tmp_path / "go.sum").write_text("".join(ours), encoding="ascii")
    with pytest.raises(ClusterError, match=r"SECURITY|mismatch|malformed"):
        building._argo_folder(tmp_path)


@pytest.mark.alone
def test_existing_touches_only_its_namespace(node, tmp_path):
    node.kubectl("create", "namespace", "theirs")
    kinds = "serviceaccounts,roles,rolebindings,configmaps,secrets,clusterroles,clusterrolebindings,namespaces"

    def others():
        found = node.kubectl.get(kinds, "--all-namespaces")["items"]
        found = [one for one in found if one["metadata"].get("namespace") != "theirs"]
        return {(one["kind"], one["metadata"]["name"], one["metadata"]["resourceVersion"]) for one in found}

    def theirs():
        found = node.kubectl.get("serviceaccounts,roles,rolebindings,configmaps,secrets", "--namespace=theirs")["items"]
        return {one["metadata"]["name"] for one in found} - {"default", "kube-root-ca.crt"}

    wait_until(
        lambda: len(node.kubectl.get("serviceaccounts,configmaps", "-n=theirs")["items"]) == 2, "it must settle", 30
    )
    before = others()
    # As a person has it: several files, the context in one of them.
    files = os.pathsep.join([str(tmp_path / "not-there"), str(node.kubeconfig())])
    environment = {"CLUSTER": "existing", "KUBECONFIG": files, "FIREWORKS_KUBECONTEXT": "fireworks"}
    environment |= {"FIREWORKS_NAMESPACE": "theirs", "FIREWORKS_S3_URL": "s3://theirs", **node.environment()}
    provider = choose({**environment, "FIREWORKS_CLUSTER_CACHE": str(tmp_path)})
    assert isinstance(provider, Existing)
    try:
        provider.up()
        assert {"stage", "store-settings", "store-credentials"} == theirs()
        provider.up()
        provider.down()
        assert set() == theirs()
        assert before == others()
    finally:
        node.kubectl("delete", "namespace", "theirs")


def test_json_of_the_kubeconfig_is_for_its_owner_alone(node):
    assert 0o600 == node.kubeconfig().stat().st_mode & 0o777
    assert "fireworks" == json.loads(node.kubeconfig().read_text(encoding="ascii"))["current-context"]
