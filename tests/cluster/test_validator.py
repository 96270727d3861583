"""The validator against Argo itself: its linter, the API server with the full CRDs, Pod Security, and runs.

Neighbours: `fireworks.workflow.argo.validator`, `argo_corpus`, docs/validator.md.
"""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from argo_corpus.corpus import BAD, GOOD, load, mutant, rule_of, seen
from argo_corpus.field_tree import TARGET, field_tree
from cluster.access import newest_stage_image
from cluster.provider.building import schemas
from cluster.provider.commands import wait_until
from cluster.provider.settings import read_settings
from fireworks.errors import ResourceRefused
from fireworks.workflow.argo.resources import PODS
from fireworks.workflow.argo.validator import RULES, validate

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

MUTANTS = 240
# These say in their remedy that somebody has to look, since it can't be told from the manifests alone.
LOOKED_AT = {"template-elsewhere", "server-field"}
TOO_LARGE = {"annotations-size": "server", "object-size": "server"}
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SAFE = {"runAsNonRoot": True, "runAsUser": 8737, "seccompProfile": {"type": "RuntimeDefault"}}


class Argo:
    """What the real ones say to files."""

    def __init__(self, provider, folder):
        self.provider, self.folder = provider, folder
        self.binary = read_settings().binary("argo")

    def write(self, name, manifests):
        """Into a folder of its own, so that a linter sees nothing but these."""
        path = self.folder / name / "manifests.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(json.dumps(manifest) + "\n" for manifest in manifests))
        return path

    def lint(self, paths):
        """What `argo lint --offline` refuses, each file by itself, and why."""
        with ThreadPoolExecutor(2) as pool:
            verdicts = pool.map(self._lint, paths)
        return {path: verdict for path, verdict in zip(paths, verdicts, strict=True) if verdict}

    def _lint(self, path):
        command = [self.binary, "lint", "--offline", "--no-color", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return f"{done.stdout}{done.stderr}" if done.returncode else ""

    def dry_run(self, paths):
        """What the API server refuses, and why; asked once for all."""
        done = self.kubectl(
            "create", "--dry-run=server", "--validate=strict", *(f"--filename={path}" for path in paths)
        )
        said = {path: re.search(f'.*"{re.escape(str(path))}".*', done.stderr) for path in paths}
        refused = {path: match[0] for path, match in said.items() if match}
        taken = sum(len(load(path)) for path in paths if path not in refused)
        assert len(done.stdout.splitlines()) >= taken, done.stderr
        return refused

    def kubectl(self, *arguments, stdin=None):
        kubectl = self.provider.kubectl
        command = [kubectl.binary, f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={self.provider.namespace}"]
        return subprocess.run(
            [*command, *arguments], input=stdin, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def argo(cluster, tmp_path_factory):
    return Argo(cluster, tmp_path_factory.mktemp("argo"))


@pytest.fixture(scope="module")
def refused(argo):
    """What each of the two refuses of the corpus."""
    return {"lint": argo.lint([*GOOD, *BAD]), "server": argo.dry_run([*GOOD, *BAD])}


def errors(manifests):
    return {finding.rule for finding in validate(manifests) if finding.severity == "error"}


def test_the_table_of_fields_is_that_of_the_full_crds():
    assert field_tree(schemas(read_settings())) == TARGET.read_text(encoding="utf-8")


def test_argo_takes_the_good_ones(refused):
    assert {} == {path.stem: why for verdicts in refused.values() for path, why in verdicts.items() if path in GOOD}


def test_argo_refuses_what_a_rule_says_it_refuses(refused):
    files = {path.stem: path for path in BAD}
    wanted = {name: rule.evidence for name, rule in RULES.items() if rule.evidence in refused}
    assert [] == [name for name in wanted if name not in TOO_LARGE and files[name] not in refused[wanted[name]]]


def test_what_argo_refuses_is_found(refused):
    either = refused["lint"].keys() | refused["server"].keys()
    assert [] == [path.stem for path in sorted(either) if not errors(load(path))]


def test_what_a_rule_says_that_argo_takes_is_taken(refused):
    either = refused["lint"].keys() | refused["server"].keys()
    others = [path for path in BAD if seen(path) or RULES[rule_of(path)].evidence in ("run", "Argo 4", "advice")]
    assert [] == [path.stem for path in others if path in either and path.stem != "cron-schedule--both"]


def drawn(count):
    """Good files and seeds, the same each time; collected first, since a process for each is slow."""
    pairs = {}

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(st.sampled_from(GOOD), st.integers(0, 2**32))
    def draw(path, seed):
        pairs[path, seed] = None

    draw()
    return list(pairs)


def test_argo_refuses_no_mutant_in_which_nothing_is_found(argo):
    kept, found = {}, 0
    for origin, seed in drawn(MUTANTS):
        manifests = mutant(load(origin), seed)
        findings = validate(manifests)
        if any(finding.severity == "error" or finding.rule in LOOKED_AT for finding in findings):
            found += 1
        else:
            kept[argo.write(f"{origin.stem}-{seed}", manifests)] = seed
    assert MUTANTS / 4 < found < len(kept) + found - MUTANTS / 10, "mutants should be neither all good nor all bad"
    assert {} == {path.parent.name: why for path, why in argo.lint(list(kept)).items()}
    assert {} == {path.parent.name: why for path, why in argo.dry_run(list(kept)).items()}


@pytest.mark.parametrize(
    ("rule", "change", "dry"),
    [
        ("annotations-size", {"metadata": {"name": "too-large", "annotations": {"a": "x" * 300_000}}}, True),
        # Nothing is too large for a dry run: this one is refused by etcd.
        ("object-size", {"metadata": {"name": "too-large"}, "spec": {"onExit": "x" * 1_700_000}}, False),
    ],
)
def test_what_is_too_large_is_refused(argo, rule, change, dry):
    base = load(next(path for path in GOOD if path.stem == "cluster-template"))[0]
    manifest = base | {"kind": "WorkflowTemplate"} | change | {"spec": base["spec"] | change.get("spec", {})}
    options = ["--dry-run=server"] if dry else []
    done = argo.kubectl("create", "--filename=-", *options, stdin=json.dumps(manifest))
    if not done.returncode and not dry:
        argo.kubectl("delete", "workflowtemplate", "too-large")
    assert 0 != done.returncode
    assert "large" in done.stderr.lower() or "too long" in done.stderr.lower()
    assert rule in errors([manifest])


def pod(template, spec):
    """The pod of a template as Pod Security sees it."""
    keys = ("securityContext", "ports")
    containers = [template.get("container") or template.get("script"), *template.get("sidecars", ())]
    containers += template.get("containerSet", {}).get("containers", ())
    made = {
        kind: [
            {"name": f"{kind.lower()}-{index}", "image": "x:1"} | {key: one[key] for key in keys if key in one}
            for index, one in enumerate(filter(None, listed))
        ]
        for kind, listed in (("containers", containers), ("initContainers", template.get("initContainers", ())))
    }
    context = template.get("securityContext") or spec.get("securityContext")
    body = made | {"securityContext": context, "volumes": [*spec.get("volumes", ()), *template.get("volumes", ())]}
    body |= {"hostNetwork": spec.get("hostNetwork", False)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "test-"}, "spec": body}


def verdict(client, template, spec):
    """Whether Pod Security restricted refuses a template's pod, and whether we do."""
    refused = ""
    try:
        client.create(PODS, pod(template, spec), dry_run=True)
    except ResourceRefused as refusal:
        refused = str(refusal)
    assert not refused or "violates PodSecurity" in refused
    manifest = {"kind": "Workflow", "spec": spec | {"templates": [template]}}
    return bool(refused), any(finding.rule.startswith("security-") for finding in validate([manifest]))


def test_pod_security_and_we_agree_on_the_corpus(client):
    told = []
    for path in (*GOOD, *(path for path in BAD if rule_of(path) == "security-forbidden")):
        for manifest in load(path):
            spec = manifest["spec"].get("workflowSpec", manifest["spec"])
            for template in spec.get("templates", ()):
                if {"container", "script", "containerSet"} & template.keys():
                    real, ours = verdict(client, template, spec)
                    told.append(real)
                    assert real == ours, f"{path.stem}, template {template['name']}"
    assert {True, False} == set(told)


@pytest.mark.parametrize(
    ("container", "spec"),
    [
        ({}, {}),
        ({"securityContext": RESTRICTED | SAFE}, {"securityContext": None}),
        ({"securityContext": RESTRICTED | {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}}, {}),
        ({"securityContext": RESTRICTED | {"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}}, {}),
        ({"securityContext": RESTRICTED | {"capabilities": {"drop": ["NET_RAW"]}}}, {}),
        ({"securityContext": {"allowPrivilegeEscalation": False}}, {}),
        ({"securityContext": {"capabilities": {"drop": ["ALL"]}}}, {}),
        ({"securityContext": RESTRICTED | {"runAsNonRoot": False}}, {}),
        ({"securityContext": RESTRICTED | {"runAsUser": 0}}, {}),
        ({"securityContext": RESTRICTED | {"seccompProfile": {"type": "Unconfined"}}}, {}),
        ({"securityContext": RESTRICTED | {"appArmorProfile": {"type": "Unconfined"}}}, {}),
        ({"securityContext": RESTRICTED | {"seLinuxOptions": {"type": "container_t"}}}, {}),
        ({"securityContext": RESTRICTED | {"seLinuxOptions": {"type": "spc_t"}}}, {}),
        ({"securityContext": RESTRICTED | {"seLinuxOptions": {"user": "u"}}}, {}),
        ({"securityContext": RESTRICTED}, {"securityContext": {"runAsNonRoot": True}}),
        ({"securityContext": RESTRICTED}, {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
        ({"securityContext": RESTRICTED}, {"securityContext": SAFE | {"runAsUser": 0}}),
        (
            {"securityContext": RESTRICTED},
            {"securityContext": SAFE | {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}},
        ),
        (
            {"securityContext": RESTRICTED},
            {"securityContext": SAFE | {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}},
        ),
        ({"securityContext": RESTRICTED}, {"hostNetwork": True}),
        ({"securityContext": RESTRICTED, "ports": [{"containerPort": 80, "hostPort": 80}]}, {}),
        ({"securityContext": RESTRICTED, "ports": [{"containerPort": 80}]}, {}),
        ({"securityContext": RESTRICTED}, {"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}),
        ({"securityContext": RESTRICTED}, {"volumes": [{"name": "n", "nfs": {"server": "x", "path": "/"}}]}),
        ({"securityContext": RESTRICTED}, {"volumes": [{"name": "e", "emptyDir": {}}]}),
        ({"securityContext": RESTRICTED}, {"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}),
    ],
)
def test_pod_security_and_we_agree(client, container, spec):
    template = {"name": "main", "container": {"image": "x:1"} | container}
    real, ours = verdict(client, template, {"securityContext": SAFE} | spec)
    assert real == ours


class Mishandled:
    """Bad workflows that Argo takes: all are started at once, then looked at one after the other."""

    def __init__(self, argo):
        self.argo, self.names = argo, {}
        self.image = newest_stage_image(argo.provider.images())
        for path in BAD:
            if seen(path):
                done = argo.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(self.ready(path)))
                assert not done.returncode, done.stderr
                self.names[path] = json.loads(done.stdout)["metadata"]["name"]

    def ready(self, path):
        """Change what is not the point, so that pods are admitted and their image is there."""
        (manifest,) = load(path)
        manifest["spec"] |= {"serviceAccountName": "stage", "activeDeadlineSeconds": 600}
        # Argo would delete the pod before its log is read.
        manifest["spec"]["podGC"] = {"strategy": "OnWorkflowCompletion", "deleteDelayDuration": "900s"}
        for template in manifest["spec"]["templates"]:
            container = template.get("container")
            if container:
                container["image"] = self.image
                container.setdefault("imagePullPolicy", "IfNotPresent")
                container.setdefault("securityContext", RESTRICTED)
                resources = container.setdefault("resources", {})
                resources.setdefault("limits", {"cpu": "500m", "memory": "64Mi"})
                resources.setdefault("requests", {}).update(cpu="10m", memory="16Mi")
        return manifest

    def workflow(self, path):
        return self.argo.provider.kubectl.get(
            "workflow", self.names[path], f"--namespace={self.argo.provider.namespace}"
        )

    def told(self, path):
        """Everything that Argo says about it in the end, and what its pods say."""
        wait_until(lambda: self.workflow(path).get("status", {}).get("finishedAt"), f"{path.stem} must end", 500)
        status = self.workflow(path)["status"]
        messages = [status.get("message", ""), *(node.get("message", "") for node in status["nodes"].values())]
        label = f"--selector=workflows.argoproj.io/workflow={self.names[path]}"
        log = self.argo.kubectl("logs", label, "--container=main", "--tail=-1")
        return status["phase"], "\n".join(messages), log.stdout

    def remove(self):
        self.argo.kubectl("delete", "workflow", *self.names.values(), "--wait=false")


@pytest.fixture(scope="module")
def mishandled(argo):
    started = Mishandled(argo)
    yield started
    started.remove()


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in BAD if seen(path)], ids=lambda path: path.stem)
def test_argo_mishandles_what_a_rule_says_it_mishandles(mishandled, path):
    phase, messages, log = mishandled.told(path)
    printed = re.fullmatch(r"the pod prints (.+)", seen(path))
    if printed:
        assert "Succeeded" == phase
        text = printed[1].replace("the uid of the workflow", mishandled.workflow(path)["metadata"]["uid"])
        assert text in log
    else:
        assert "Error" == phase
        assert seen(path) in messages
