"""Kubeconfigs, good and bad. Neighbour: `fireworks.workflow.argo.kubeconfig`."""

import json
import os
import sys

import pytest

from answering import write_kubeconfig
from fireworks.errors import KubeconfigError
from fireworks.workflow.argo.kubeconfig import log_in

SERVER = "https://cluster.example:6443"


@pytest.fixture
def file(tmp_path):
    return write_kubeconfig(tmp_path / "config", SERVER, namespace="lab")


def environment(*files, **others):
    return {"KUBECONFIG": os.pathsep.join(map(str, files)), "HOME": "/nonexistent", **others}


def edited(file, **changes):
    document = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    return file


def test_the_current_context_is_taken(file):
    login = log_in(environment=environment(file))
    assert (SERVER, "here", str(file), "lab") == (login.server, login.context, login.source, login.namespace)
    assert "Bearer first" == login.configuration.auth_settings()["BearerToken"]["value"]


def test_the_home_folder_is_looked_in(tmp_path):
    (tmp_path / ".kube").mkdir()
    write_kubeconfig(tmp_path / ".kube" / "config", SERVER)
    assert SERVER == log_in(environment={"HOME": str(tmp_path)}).server


def test_files_add_up_and_the_first_wins(file, tmp_path):
    second = write_kubeconfig(tmp_path / "second", "https://other.example", context="other")
    document = json.loads(second.read_text())
    document["clusters"][0]["name"] = document["contexts"][0]["context"]["cluster"] = "elsewhere"
    second.write_text(json.dumps(document))
    both = environment(file, tmp_path / "absent", second)
    assert SERVER == log_in("here", both).server
    assert "https://other.example" == log_in("other", both).server


def test_without_any_file_the_reason_is_named(tmp_path):
    with pytest.raises(KubeconfigError, match=r"KUBECONFIG is not set and \S+/\.kube/config does not exist"):
        log_in(environment={"HOME": str(tmp_path)})
    with pytest.raises(KubeconfigError, match=r"KUBECONFIG must name a file that exists, but \S+/absent does not"):
        log_in(environment=environment(tmp_path / "absent"))


def test_a_pod_without_account_is_told(tmp_path):
    with pytest.raises(KubeconfigError, match=r"a pod must have an account .* Set automountServiceAccountToken"):
        log_in(environment={"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.96.0.1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clusters: [", "a kubeconfig must be YAML, but"),
        ("\x00", "a kubeconfig must be YAML, but"),
        ("", "but .* is empty"),
        ("- a", "but .* holds a list"),
        ("contexts: [{name: a}]", "must list contexts as name and context"),
        ("contexts: 3", "must list contexts"),
        ("kind: Config", "must say which context is current, but does not. Choose: none"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path, text, message):
    (tmp_path / "config").write_text(text)
    with pytest.raises(KubeconfigError, match=message) as caught:
        log_in(environment=environment(tmp_path / "config"))
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_kubeconfig(tmp_path):
    with pytest.raises(KubeconfigError, match="must be readable, but .* is not"):
        log_in(environment=environment(tmp_path))


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("her", "a context must be one of the kubeconfig's, but .* has no 'her'. Did you mean 'here'?"),
        ("production", "has no 'production'. There are: here."),
    ],
)
def test_an_unknown_context_is_named_with_the_nearest(file, context, message):
    with pytest.raises(KubeconfigError, match=message):
        log_in(context, environment(file))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"current-context": "gone"}, "the current context must exist, but .* has no 'gone'"),
        ({"clusters": []}, "must lead to a cluster and a user, but: .*there"),
        ({"clusters": [{"name": "there", "cluster": {}}]}, "must name a server by URL"),
        ({"clusters": [{"name": "there", "cluster": {"server": "cluster"}}]}, "must name a server by URL"),
        (
            {"clusters": [{"name": "there", "cluster": {"server": SERVER, "certificate-authority": "absent.pem"}}]},
            "but: File does not exist: .*absent.pem",
        ),
        (
            {"clusters": [{"name": "there", "cluster": {"server": SERVER, "certificate-authority-data": "a"}}]},
            "must lead to a cluster and a user, but",
        ),
    ],
)
def test_a_context_that_leads_nowhere_is_told(file, changes, message):
    with pytest.raises(KubeconfigError, match=message) as caught:
        log_in(environment=environment(edited(file, **changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program", "the login program of context 'here' .* must give credentials, but: .*no-such-program"),
        (sys.executable, "the login program .* must give credentials"),
    ],
)
def test_a_login_program_that_fails_is_told(tmp_path, command, message, capfd):
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "args": ["-c", "raise SystemExit(1)"],
    }
    file = write_kubeconfig(tmp_path / "config", SERVER, {"exec": {**program, "interactiveMode": "Never"}})
    with pytest.raises(KubeconfigError, match=message):
        log_in(environment=environment(file))
    assert ("", "") == tuple(capfd.readouterr())


def test_a_login_program_gives_the_token(tmp_path):
    version = "client.authentication.k8s.io/v1"
    said = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": {"token": "fresh"}})
    program = {"apiVersion": version, "command": sys.executable, "args": ["-c", f"print({said!r})"]}
    file = write_kubeconfig(tmp_path / "config", SERVER, {"exec": {**program, "interactiveMode": "Never"}})
    login = log_in(environment=environment(file))
    assert "Bearer fresh" == login.configuration.auth_settings()["BearerToken"]["value"]
