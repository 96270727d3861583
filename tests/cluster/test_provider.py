"""What of the providers needs no cluster. Neighbours: `provider/`."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.provider import ClusterError, Node, Part, Status, __main__, api_data, argo, packages
from cluster.provider.archive import read_names, write_archive
from cluster.provider.building import BUILDS
from cluster.provider.commands import Kubectl, run, wait_until
from cluster.provider.control_plane import api_server
from cluster.provider.daemons import Daemon, Supervisor, _started_at
from cluster.provider.existing import Existing
from cluster.provider.network import RULES
from cluster.provider.settings import GO, Settings, pinned_versions
from cluster.provider.storage import server


def test_versions_are_those_of_the_go_modules(settings):
    versions = pinned_versions()
    assert {"kubernetes", "etcd", "argo"} == set(versions)
    assert f"localhost/argoexec:v{versions['argo']}" == settings.executor_image
    assert settings.cache / f"kubernetes-{versions['kubernetes']}" / "kubelet" == settings.binary("kubelet")
    assert settings.cache / f"argo-{versions['argo']}" / "argoexec" == settings.binary("argoexec")


def test_an_api_server_of_another_version_begins_with_data_of_its_own(settings):
    kept = api_data.kept(settings)
    assert (settings.cache, kept) == (kept.parent, api_data.kept(Settings(settings.state, settings.cache)))
    versions = settings.versions
    others = {api_data.kept(replace(settings, versions={**versions, name: "0.0.0"})) for name in versions}
    assert len(versions) == len(others - {kept})


def test_every_module_has_its_sums():
    for build in BUILDS:
        sums = (GO / build.module / "go.sum").read_text(encoding="ascii")
        assert f" v{pinned_versions()[build.module]} h1:" in sums


def test_an_archive_is_a_function_of_its_files(tmp_path):
    (tmp_path / "program").write_bytes(b"run")
    files = {"/bin/program": tmp_path / "program", "/etc/settings": b"x"}
    for name in ("one.tar", "two.tar"):
        write_archive(tmp_path / name, "localhost/x:1", files, {"User": "8737"})
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))
        layer = archive.extractfile(manifest["Layers"][0])
        [digest] = config["rootfs"]["diff_ids"]
        assert digest == f"sha256:{hashlib.sha256(layer.read()).hexdigest()}"
        layer.seek(0)
        with tarfile.open(fileobj=layer) as inner:
            assert ["bin", "etc", "bin/program", "etc/settings"] == inner.getnames()
    assert (["localhost/x:1"], "8737") == (manifest["RepoTags"], config["config"]["User"])


def test_the_names_in_an_archive_are_read(tmp_path):
    write_archive(tmp_path / "docker.tar", "localhost/x:1", {}, {})
    assert ["localhost/x:1"] == read_names(tmp_path / "docker.tar")
    index = {"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "localhost/y:1"}}, {}]}
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="ascii")
    with tarfile.open(tmp_path / "oci.tar", "w") as archive:
        archive.add(tmp_path / "index.json", "index.json")
    assert ["localhost/y:1"] == read_names(tmp_path / "oci.tar")
    for spoiled in ("index.json", "nothing.tar"):
        with pytest.raises(ClusterError, match=rf"must be what `docker save` writes, but .*{spoiled} is not"):
            read_names(tmp_path / spoiled)


def test_a_daemon_outlives_us_and_is_known_by_more_than_its_number(tmp_path):
    supervisor = Supervisor(tmp_path / "records", tmp_path / "logs")
    group = tmp_path / "group"
    supervisor.start(Daemon("sleeper", ("sleep", "60")), group)
    pid = supervisor.pid("sleeper")
    assert pid is not None
    assert group.read_text(encoding="ascii").strip().isdigit()
    supervisor.check()
    record = tmp_path / "records" / "sleeper.json"
    told = record.read_text(encoding="ascii")
    record.write_text(json.dumps([pid, 1]), encoding="ascii")
    assert supervisor.pid("sleeper") is None
    record.write_text(told, encoding="ascii")
    supervisor.stop("sleeper")
    assert supervisor.pid("sleeper") is None


def test_a_daemon_that_is_started_again_keeps_its_log(tmp_path):
    supervisor = Supervisor(tmp_path / "records", tmp_path / "logs")

    def logged(text, **manner):
        supervisor.start(Daemon("etcd", ("echo", text)), tmp_path / "group", **manner)
        wait_until(lambda: supervisor.pid("etcd") is None, "it must end", 10)
        return supervisor.tail("etcd", 5)

    assert ["killed"] == logged("killed")
    assert ["killed", "back"] == logged("back", again=True)
    assert ["another life"] == logged("another life")


def test_a_daemon_that_does_not_want_to_stop_is_killed_if_that_is_asked(tmp_path):
    supervisor = Supervisor(tmp_path / "records", tmp_path / "logs")
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    supervisor.start(Daemon("stubborn", ("sh", "-c", stubborn)), tmp_path / "group")
    wait_until(lambda: supervisor.tail("stubborn", 1) == ["ready"], "it must start", 10)
    supervisor.stop("stubborn", limit_s=0.1)
    assert supervisor.pid("stubborn") is not None
    supervisor.stop("stubborn", limit_s=0.1, kill=True)
    assert supervisor.pid("stubborn") is None


def test_a_daemon_that_ends_says_why(tmp_path):
    supervisor = Supervisor(tmp_path / "records", tmp_path / "logs")
    supervisor.start(Daemon("etcd", ("sh", "-c", "echo fatal: no disk; echo bye; exit 3")), tmp_path / "group")
    deadline = time.monotonic() + 5
    while supervisor.pid("etcd") is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ClusterError, match="etcd must run, but has ended: fatal: no disk. See `make cluster-logs`"):
        supervisor.check()


def test_a_command_fails_in_one_line():
    with pytest.raises(ClusterError) as caught:
        run("sh", "-c", "echo fine; echo 'error: broken' >&2; echo more >&2; exit 2")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("but: error: broken")
    with pytest.raises(ClusterError, match="but no-such-program is not there. Install it"):
        run("no-such-program")
    with pytest.raises(ClusterError, match="must end within 0.1 s, but did not"):
        run("sleep", "5", limit_s=0.1)


# Whoever starts a program in the background may have it ignore SIGINT.
STOPPED = """
import signal
from pathlib import Path
from cluster.provider.commands import as_program, run
signal.signal(signal.SIGINT, signal.default_int_handler)
as_program(lambda words: run("sh", "-c", "echo $$ >pid; exec sleep 300", folder=Path.cwd()))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_a_command_stops_what_it_runs(tmp_path, number):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", STOPPED]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    file = tmp_path / "pid"
    try:
        wait_until(lambda: file.exists() and file.read_text().strip() != "", "the program must run", 20)
        pid = int(file.read_text())
        assert _started_at(pid) is not None
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert "error: stopped before its end. Run it again: what is complete is kept.\n" == told
    assert 130 == process.returncode
    wait_until(lambda: _started_at(pid) is None, "what it ran must be gone", 5)


def test_a_client_is_not_led_astray_by_the_environment(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    assert "" == run("sh", "-c", "echo $KUBECONFIG$AWS_ACCESS_KEY_ID").strip()


def test_kubectl_is_told_the_cluster_always(programs, tmp_path):
    programs("kubectl", "echo ok")
    kubectl = Kubectl(tmp_path / "programs" / "kubectl", Path("/k"), Path("/c"), "x")
    assert kubectl.answers()
    assert ["get --raw=/readyz --request-timeout=5s --kubeconfig=/k --cache-dir=/c --context=x"] == programs.calls(
        "kubectl"
    )


def test_waiting_ends_with_what_was_waited_for():
    with pytest.raises(ClusterError, match=r"the moon must rise, but did not within 0.1 s. See `make cluster-logs`"):
        wait_until(lambda: False, "the moon must rise", 0.1)


def test_nothing_is_offered_to_the_network(settings, monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda name, path=None: f"/bin/{name}")
    settings.run.mkdir(parents=True)
    assert {"--bind-address=10.244.0.1"} <= set(api_server(settings).command)
    assert {"-ip.bind=127.0.0.1", "-s3.ip.bind=10.244.0.1"} <= set(server(settings).command)
    [refused] = [rule for _, chain, rule in RULES if chain == "INPUT" and "REJECT" in rule]
    assert RULES[-1][2] == refused


def test_status_of_a_node_that_is_down_says_so(settings):
    status = Node(settings).status()
    assert not status.ready
    assert str(status).startswith("node: not ready\n✗ containerd")
    assert str(Status("x", (Part("a", ready=True, detail="b"),))) == "x: ready\n✓ a  b"


def test_the_command_line_says_one_line_and_fails():
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "CLUSTER": "minikube"}
    command = [sys.executable, "-m", "cluster.provider", "status"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("error: CLUSTER must be one of")
    assert 1 == done.stderr.count("\n")


def test_an_error_of_the_system_is_one_line_too(monkeypatch, capsys):
    def full(environment):
        raise OSError(28, "No space left on device", "/var/lib")

    monkeypatch.setattr(__main__, "choose", full)
    assert 1 == __main__.main(["up"])
    assert "error: [Errno 28] No space left on device: '/var/lib'\n" == capsys.readouterr().err


def test_a_shell_reads_the_environment_as_it_is_meant(monkeypatch, capsys):
    odd = {"AWS_SECRET_ACCESS_KEY": "a b$(touch hacked)'`", "AWS_REGION": "x;y"}
    provider = SimpleNamespace(
        kubeconfig=lambda: Path("/a folder/config"), environment=lambda: odd, s3_url=lambda: "s3://b/x&y", pulls=False
    )
    monkeypatch.setattr(__main__, "choose", lambda environment: provider)
    monkeypatch.setattr(__main__, "stage_image", lambda: "localhost/x:1")
    assert 0 == __main__.main(["environment"])
    script = f"eval {shlex.quote(capsys.readouterr().out)}; env --null"
    seen = dict(one.split("=", 1) for one in subprocess.check_output(["sh", "-c", script], text=True).split("\0")[:-1])
    expected = {"KUBECONFIG": "/a folder/config", "FIREWORKS_STORE": "s3://b/x&y", "FIREWORKS_IMAGE": "localhost/x:1"}
    assert {**odd, **expected} == {name: seen[name] for name in (*odd, *expected)}


@pytest.mark.parametrize(("named", "expected"), [("", []), ("r.example.org/x:1", ["r.example.org/x:1"])])
def test_an_existing_cluster_is_told_no_image_that_it_cannot_have(named, expected, monkeypatch, capsys, tmp_path):
    provider = Existing("x", "ours", tmp_path, tmp_path, "s3://b", {"AWS_REGION": "x"})
    monkeypatch.setattr(__main__, "choose", lambda environment: provider)
    monkeypatch.setattr(Existing, "kubeconfig", lambda self: tmp_path)
    monkeypatch.setattr(Existing, "environment", lambda self: self.store)
    monkeypatch.setenv("FIREWORKS_STAGE_IMAGE", named)
    assert 0 == __main__.main(["environment"])
    lines = capsys.readouterr().out.splitlines()
    assert [f"export FIREWORKS_IMAGE={name}" for name in expected] == [line for line in lines if "_IMAGE" in line]


def test_manifests_are_applied_until_they_change(tmp_path, settings, programs, monkeypatch):
    monkeypatch.setattr(argo, "MANIFESTS", tmp_path / "manifests")
    source = tmp_path / "manifests" / "overlays" / "node" / "x.yaml"
    source.parent.mkdir(parents=True)
    source.write_text("a: 1\n", encoding="ascii")
    settings.run.mkdir(parents=True)
    assert not argo.is_applied(settings)
    argo.apply(settings, Kubectl(programs("kubectl"), Path("/k"), Path("/c")))
    assert argo.is_applied(settings)
    assert [True] == [f"--kustomize {source.parent}" in call for call in programs.calls("kubectl")]
    source.write_text("a: 2\n", encoding="ascii")
    assert not argo.is_applied(settings)
