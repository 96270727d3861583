"""What builds images, and what lists and removes them, by the commands that they give. Neighbours: `provider/`."""

import json
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.provider import ClusterError, engines
from cluster.provider.containerd import remove_image
from cluster.provider.kind import Kind
from cluster.provider.settings import ROOT


@pytest.mark.parametrize("known", [frozenset(), frozenset({"sha256:" + "a" * 64})])
def test_docker_builds_and_saves(known, programs, tmp_path):
    programs("docker", 'echo "localhost/fireworks-stage:0123456789ab"')
    docker = engines.Docker("docker")
    docker.build(tmp_path, Path("images/stage/Dockerfile"), "localhost/x:1", {"TORCH_INDEX": "https://x"})
    docker.save("localhost/x:1", tmp_path / "x.tar", known)
    docker.remove(docker.names())
    assert [
        f"build --file=images/stage/Dockerfile --tag=localhost/x:1 --build-arg=TORCH_INDEX=https://x {tmp_path}",
        f"save --output={tmp_path}/x.tar localhost/x:1",
        "images --format={{.Repository}}:{{.Tag}}",
        "rmi localhost/fireworks-stage:0123456789ab",
    ] == programs.calls("docker")


FAKE_BUILDAH = """
PATH=/usr/bin:/bin
own='"sha256:first", "sha256:code", "sha256:smoke"'
case "$*" in
*inspect*) echo '{"OCIv1": {"rootfs": {"diff_ids": ["sha256:base", "sha256:big", '"$own"']}}}';;
*docker-archive:*) touch "$(echo "$*" | sed 's/.*docker-archive:\\([^:]*\\):.*/\\1/')";;
*oci:*) cd "$(echo "$*" | sed 's/.*oci:\\([^:]*\\):.*/\\1/')"; ls blobs/sha256 >present; echo {} >index.json
        for name in base big first code smoke; do test -e blobs/sha256/$name || echo $name >blobs/sha256/$name; done;;
esac
"""


@pytest.fixture
def buildah(programs, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "find_program", lambda name: programs(name, FAKE_BUILDAH))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return engines.Buildah(tmp_path / "images", tmp_path / "uv")


def test_only_what_the_cluster_lacks_is_saved(buildah, tmp_path):
    archive = tmp_path / "image.tar"
    buildah.save("localhost/x:1", archive, frozenset({"sha256:base", "sha256:big", "sha256:of-another"}))
    with tarfile.open(archive) as file:
        saved = {member.name: member.size for member in file if member.name.startswith("blobs")}
        present = file.extractfile("present").read().decode().split()
    assert ["base", "big"] == present
    assert {"blobs/sha256/first": 6, "blobs/sha256/code": 5, "blobs/sha256/smoke": 6} == saved


def test_the_layers_above_the_packages_are_those_of_the_dockerfile():
    text = (ROOT / "images" / "stage" / "Dockerfile").read_text(encoding="utf-8")
    _, found, last = text.partition("FROM requirements AS stage\n")
    assert found
    assert engines._OWN_LAYERS == sum(line.startswith(("COPY ", "RUN ")) for line in last.splitlines())


@pytest.mark.parametrize(
    "known", [set(), {"sha256:base"}, {"sha256:big", "sha256:first", "sha256:code", "sha256:smoke"}]
)
def test_all_is_saved_if_the_cluster_lacks_a_layer_of_packages(known, buildah, programs, tmp_path):
    archive = tmp_path / "image.tar"
    buildah.save("localhost/x:1", archive, frozenset(known))
    assert programs.calls("buildah")[-1].endswith(f"push --quiet localhost/x:1 docker-archive:{archive}:localhost/x:1")
    assert archive.exists()
    assert [] == list((tmp_path / "images").iterdir())


def test_buildah_needs_root(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="must run as root, but does not.*sudo make images"):
        engines.Buildah(tmp_path, tmp_path).names()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://mirror/debian\n", "http://mirror/debian"),
        ("sources.list", "# none\ndeb [trusted=yes] http://old/debian bookworm main\n", "http://old/debian"),
        ("sources.list", "# none\n", None),
    ],
)
def test_debian_comes_from_where_this_machine_gets_it(name, text, expected, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert expected == engines.find_mirror(tmp_path)


def test_containerd_forgets_an_image_with_its_content_address(programs, settings, monkeypatch):
    rows = ["REF TYPE DIGEST", "localhost/a:1 t sha256:m1", "sha256:c1 t sha256:m1", "localhost/b:1 t sha256:m2"]
    rows += ["localhost/c:1 t sha256:m2", "sha256:c2 t sha256:m2"]
    path = programs("ctr", f"printf '%s\\n' {' '.join(json.dumps(row) for row in rows)}")
    monkeypatch.setattr("cluster.provider.containerd.find_program", lambda name: path)
    for name in ("localhost/a:1", "localhost/b:1", "localhost/unknown:1"):
        remove_image(settings, name)
    removed = [call.partition("--sync ")[2] for call in programs.calls("ctr") if "remove" in call]
    # Another name of the same content keeps its address.
    assert ["localhost/a:1 sha256:c1", "localhost/b:1"] == removed


def test_kind_lists_and_removes_images(programs, tmp_path):
    listed = {"images": [{"repoTags": ["localhost/a:1"]}, {"repoTags": None}]}
    programs("docker", f"echo {json.dumps(json.dumps(listed))}")
    kind = Kind(SimpleNamespace(cache=tmp_path))
    assert ["localhost/a:1"] == kind.images()
    kind.remove_image("localhost/a:1")
    prefix = "exec fireworks-control-plane crictl"
    assert [f"{prefix} images --output=json", f"{prefix} rmi localhost/a:1"] == programs.calls("docker")
