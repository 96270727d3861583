"""The manifests as they are rendered: complete, labelled, pinned, restricted, and nothing secret in them.

Comes in: manifests/. Goes out: nothing. The tests marked `cluster` need kubectl, and git and Go for Argo's own files;
the others compare sources and rendered files by a reading of kustomize that knows only what these sources use.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster.provider.packages import find_go
from cluster.provider.settings import read_settings

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = ["kind", "node", "prod"]
LABELS = {f"app.kubernetes.io/{key}" for key in ("name", "part-of", "component", "managed-by")}
# What Argo 3.6 to 4.1 all know; one key that a version does not know, and its controller does not start.
SETTINGS = {"executor", "workflowDefaults", "links"}
ARGO, ARGO_VERSION = "https://github.com/argoproj/argo-workflows", "v3.7.18"


def read(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def rendered(overlay):
    return read(MANIFESTS / "rendered" / f"{overlay}.yaml")


def name_of(item):
    return item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]


def by_name(items):
    return {name_of(item): item for item in items}


def of_kind(overlay, *kinds):
    return [item for item in rendered(overlay) if item["kind"] in kinds]


def merged(value, patch):
    """A strategic merge as far as our patches go: mappings merge, anything else is replaced."""
    if not (isinstance(value, dict) and isinstance(patch, dict)):
        return patch
    return value | {key: merged(value.get(key), part) for key, part in patch.items()}


def contains(whole, part):
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


def built(folder):
    """The objects of a kustomization; what it fetches from elsewhere is left out, and so are patches by operation."""
    recipe = read(folder / "kustomization.yaml")[0]
    items = []
    for resource in recipe["resources"]:
        if "://" not in resource:
            path = folder / resource
            items += built(path.resolve()) if path.is_dir() else read(path)
    for item in items:
        if "namespace" in recipe and item["kind"] != "Namespace":
            item["metadata"]["namespace"] = recipe["namespace"]
        for labels in recipe.get("labels", ()):
            item["metadata"]["labels"] = item["metadata"].get("labels", {}) | labels["pairs"]
    for entry in recipe.get("patches", ()):
        patch = yaml.safe_load(entry["patch"] if "patch" in entry else (folder / entry["path"]).read_text())
        if isinstance(patch, dict) and "$patch" not in patch:
            assert name_of(patch) in by_name(items), "a patch of nothing"
            items = [merged(item, patch) if name_of(item) == name_of(patch) else item for item in items]
    return items


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rendered_files_hold_what_the_sources_say(overlay):
    expected, actual = by_name(built(MANIFESTS / "overlays" / overlay)), by_name(rendered(overlay))
    assert [] == [name for name in expected if not contains(actual.get(name), expected[name])]
    foreign = {
        item["metadata"]["labels"]["app.kubernetes.io/name"] for name, item in actual.items() if name not in expected
    }
    assert ({"argo-workflows"} if overlay == "kind" else set()) == foreign


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_has_the_four_labels(overlay):
    assert [] == [name_of(item) for item in rendered(overlay) if not set(item["metadata"].get("labels", {})) >= LABELS]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_object_is_there_twice(overlay):
    assert len(rendered(overlay)) == len(by_name(rendered(overlay)))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_namespace_of_stages_is_restricted(overlay):
    labels = by_name(rendered(overlay))["Namespace", None, "fireworks"]["metadata"]["labels"]
    modes = [labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")]
    assert ["restricted"] * 3 == modes


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_stages_may_create_and_patch_task_results_and_nothing_else(overlay):
    def binds_stage(item):
        groups = {"system:serviceaccounts", "system:serviceaccounts:fireworks", "system:authenticated"}
        return any(subject["name"] in {"stage"} | groups for subject in item["subjects"])

    bindings = [item for item in of_kind(overlay, "RoleBinding", "ClusterRoleBinding") if binds_stage(item)]
    assert [("RoleBinding", "fireworks", "stage")] == [name_of(item) for item in bindings]
    assert [{"kind": "ServiceAccount", "name": "stage", "namespace": "fireworks"}] == bindings[0]["subjects"]
    role = by_name(rendered(overlay))[bindings[0]["roleRef"]["kind"], "fireworks", bindings[0]["roleRef"]["name"]]
    expected = {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    assert [expected] == role["rules"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_rule_is_a_wildcard_and_none_reaches_the_whole_cluster(overlay):
    assert [] == of_kind(overlay, "ClusterRole", "ClusterRoleBinding")
    rules = [rule for role in of_kind(overlay, "Role") for rule in role["rules"]]
    assert [] == [rule for rule in rules if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"]]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_store_s_credentials_are_named_and_never_given(overlay):
    assert [] == of_kind(overlay, "Secret")
    account = by_name(rendered(overlay))["ServiceAccount", "fireworks", "stage"]
    assert [{"name": "store-credentials"}] == account["secrets"]


def test_no_source_gives_a_secret_a_value():
    sources = [path for path in MANIFESTS.rglob("*") if path.suffix in {".yaml", ".md"}]
    secret = re.compile(
        r"^kind: Secret$|secretGenerator|(?:SECRET_ACCESS_KEY|ACCESS_KEY_ID|password|token)\s*[:=]\s*\S", re.MULTILINE
    )
    assert len(sources) > 20
    assert [] == [path.name for path in sources if secret.search(path.read_text())]


def is_restricted(pod, container):
    """What Pod Security *restricted* asks for, but for the kinds of volumes."""
    pod, own = pod.get("securityContext", {}), container.get("securityContext", {})
    both = pod | own
    return (
        both.get("runAsNonRoot") is True
        and both.get("runAsUser", 1) != 0
        and both.get("seccompProfile") == {"type": "RuntimeDefault"}
        and own.get("allowPrivilegeEscalation") is False
        and own.get("capabilities") == {"drop": ["ALL"]}
    )


def test_pods_of_ours_are_restricted_pinned_and_say_what_they_need():
    pods = [item["spec"]["template"]["spec"] for item in of_kind("kind", "Deployment", "StatefulSet")]
    assert 3 == len(pods)
    for pod in pods:
        for container in pod["containers"]:
            assert is_restricted(pod, container)
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert re.search(r":v?\d+\.\d+(\.\d+)?$", container["image"])
            assert {"requests", "limits"} == set(container["resources"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_controller_s_settings_are_read_as_they_are_meant(overlay):
    data = by_name(rendered(overlay))["ConfigMap", "argo", "workflow-controller-configmap"]["data"]
    assert SETTINGS == set(data)
    # The controller puts the entries together into one document in this manner, and then parses that.
    document = "".join(f"{key}:\n  " + "\n  ".join(text.strip("\n").split("\n")) + "\n" for key, text in data.items())
    settings = yaml.safe_load(document)
    defaults = settings["workflowDefaults"]["spec"]
    assert is_restricted(defaults, settings["executor"])
    assert 8737 == settings["executor"]["securityContext"]["runAsUser"] == defaults["securityContext"]["runAsUser"]
    assert {"activeDeadlineSeconds", "podGC", "ttlStrategy", "securityContext"} == set(defaults)
    assert {"workflow", "pod"} == {link["scope"] for link in settings["links"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_controller_looks_at_finished_stages_every_second(overlay):
    assert {"DEFAULT_REQUEUE_TIME": "1s"} == by_name(rendered(overlay))[
        "ConfigMap", "argo", "workflow-controller-environment"
    ]["data"]


def test_argo_s_controller_takes_its_environment_and_watches_our_namespace():
    container = by_name(rendered("kind"))["Deployment", "argo", "workflow-controller"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert [{"configMapRef": {"name": "workflow-controller-environment"}}] == container["envFrom"]
    assert ["--namespaced", "--managed-namespace=fireworks"] == container["args"]


def test_argo_is_fetched_at_the_version_that_its_images_have():
    recipe = read(MANIFESTS / "components/argo/install/kustomization.yaml")[0]
    assert [f"{ARGO}//manifests/namespace-install?ref={ARGO_VERSION}"] == recipe["resources"]
    assert {ARGO_VERSION} == {image["newTag"] for image in recipe["images"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_quota_and_default_resources_go_together(overlay):
    quota = by_name(rendered(overlay))["ResourceQuota", "fireworks", "fireworks"]["spec"]["hard"]
    limits = by_name(rendered(overlay))["LimitRange", "fireworks", "fireworks"]["spec"]["limits"][0]
    needed = {key.removeprefix("requests.") for key in quota if key in {"requests.cpu", "requests.memory"}}
    assert {"cpu", "memory"} == needed == set(limits["defaultRequest"])
    assert set() == {key for key in quota if key.startswith("limits.")} - {f"limits.{key}" for key in limits["default"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_reach_the_api_server_and_the_store_but_no_metadata_server(overlay):
    policies = by_name(rendered(overlay))
    assert {"podSelector": {}, "policyTypes": ["Ingress"]} == policies["NetworkPolicy", "fireworks", "deny-ingress"][
        "spec"
    ]
    egress = policies["NetworkPolicy", "fireworks", "allow-egress"]["spec"]["egress"]
    outside = [rule for rule in egress if any("ipBlock" in peer for peer in rule.get("to", ()))]
    assert [{443, 6443, 8333}] == [{port["port"] for port in rule["ports"]} for rule in outside]
    assert "169.254.0.0/16" in outside[0]["to"][0]["ipBlock"]["except"]


def test_kind_s_host_port_leads_to_the_test_store():
    mapping = read(MANIFESTS / "overlays/kind/cluster.yaml")[0]["nodes"][0]["extraPortMappings"][0]
    port = by_name(rendered("kind"))["Service", "fireworks", "s3"]["spec"]["ports"][0]
    settings = by_name(rendered("kind"))["ConfigMap", "fireworks", "store-settings"]["data"]
    assert (mapping["containerPort"], mapping["hostPort"]) == (port["nodePort"], port["port"])
    assert f"http://s3.fireworks.svc:{port['port']}" == settings["AWS_ENDPOINT_URL"]
    assert "127.0.0.1" == mapping["listenAddress"]


def test_every_folder_is_used_or_explained():
    readme = (MANIFESTS / "README.md").read_text()
    folders = [path.name for folder in ("components", "overlays") for path in (MANIFESTS / folder).iterdir()]
    assert [] == [name for name in folders if f"/{name}`" not in readme and f"`{name}`" not in readme]
    assert sorted(OVERLAYS) == sorted(path.stem for path in (MANIFESTS / "rendered").iterdir())


def command(*words, cwd=None, env=None):
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def argo_by_git(tmp_path_factory):
    """Git settings under which Argo's repository is a local one, made from its Go module: no need of its host."""
    folder = tmp_path_factory.mktemp("argo")
    module = f"github.com/argoproj/argo-workflows/v3@{ARGO_VERSION}"
    source = Path(json.loads(command(str(find_go()), "mod", "download", "-json", module, cwd=folder))["Dir"])
    shutil.copytree(source / "manifests", folder / "manifests", copy_function=shutil.copyfile)
    # A module's folders are read-only.
    command("chmod", "-R", "u+w", str(folder / "manifests"))
    settings = folder / "gitconfig"
    lines = [
        f'[url "file://{folder}"]',
        f"insteadOf = {ARGO}",
        "[safe]",
        "directory = *",
        "[user]",
        "name = x",
        "email = x@x",
    ]
    settings.write_text("\n".join(lines))
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(settings), "HOME": str(folder)}
    command("git", "init", "--quiet", cwd=folder, env=env)
    command("git", "add", "manifests", cwd=folder, env=env)
    command("git", "commit", "--quiet", "--message", "x", cwd=folder, env=env)
    command("git", "tag", ARGO_VERSION, cwd=folder, env=env)
    return env


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rendered_files_are_what_kubectl_renders(overlay, argo_by_git):
    kubectl = read_settings().binary("kubectl")
    assert kubectl.exists(), "this test needs the kubectl that `make cluster-up` builds"
    expected = command(str(kubectl), "kustomize", str(MANIFESTS / "overlays" / overlay), env=argo_by_git)
    assert expected == (MANIFESTS / "rendered" / f"{overlay}.yaml").read_text()


def dry_run(rendered):
    """How many objects of a file the API server takes; nothing of it is applied."""
    settings = read_settings()
    answer = command(
        str(settings.binary("kubectl")),
        *("apply", f"--kubeconfig={settings.kubeconfig}", "--server-side", "--force-conflicts", "--dry-run=server"),
        *("--validate=strict", f"--filename={rendered}"),
    )
    return answer.count("(server dry run)")


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_everything(overlay):
    assert len(rendered(overlay)) == dry_run(MANIFESTS / "rendered" / f"{overlay}.yaml")


CONTROLLER = {("ConfigMap", "argo", f"workflow-controller-{name}") for name in ("configmap", "environment")}


@pytest.fixture
def with_component(tmp_path):
    """The objects of base/ with a component, as kubectl renders them and the API server takes them."""

    def render(component):
        recipe = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        for key, folder in (("resources", "base"), ("components", f"components/{component}")):
            recipe[key] = [os.path.relpath(MANIFESTS / folder, tmp_path)]
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(recipe))
        target = tmp_path / "rendered.yaml"
        target.write_text(command(str(read_settings().binary("kubectl")), "kustomize", str(tmp_path)))
        assert len(read(target)) == dry_run(target)
        return by_name(read(target))

    return render


@pytest.mark.cluster
def test_the_settings_of_argo_4_1_are_rendered_and_taken(with_component):
    items = with_component("argo-4.1")
    assert by_name(built(MANIFESTS / "base")).keys() == items.keys()
    settings = items["ConfigMap", "argo", "workflow-controller-configmap"]["data"]
    assert SETTINGS | {"failedPodRestart"} == set(settings)
    assert {"enabled": True, "maxRestarts": 3} == yaml.safe_load(settings["failedPodRestart"])


@pytest.mark.cluster
def test_a_shared_argo_keeps_its_settings(with_component):
    assert by_name(built(MANIFESTS / "base")).keys() - CONTROLLER == with_component("shared-argo").keys()
