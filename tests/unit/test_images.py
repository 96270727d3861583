"""The image that stages run in: its name, what it is built from, which versions stay.

Neighbours: `images/`, `tests/cluster/test_image_engines.py`.
"""

import compileall
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import blake3
import pytest
from packaging.requirements import Requirement

from cluster.provider import ClusterError, engines, images
from cluster.provider.existing import Existing

ROOT = Path(__file__).parents[2]
GIVEN = {"FIREWORKS_BASE_IMAGE": "base:1"}
DEPENDENCIES = Path(blake3.__file__).parents[1]
VERSION = "from fireworks.workflow.imports import distribution_version; print(*distribution_version('fireworks'))"


@pytest.fixture
def tree(tmp_path):
    """A copy of all that the image is made of."""
    root = tmp_path / "tree"
    for name in ("fireworks", "operators", "images", "requirements"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(ROOT / name, root / name)
    return root


def pinned(name):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {line.removesuffix(" \\") for line in re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE)}


def test_the_name_follows_from_the_tree(tree):
    name = images.stage_image(GIVEN, tree)
    assert re.fullmatch(r"localhost/fireworks-stage:[0-9a-f]{12}", name)
    assert name == images.stage_image(GIVEN, tree)
    assert name == images.stage_image(GIVEN, ROOT)


@pytest.mark.parametrize(
    "changed",
    [
        "fireworks/errors.py",
        "operators/report/stage.py",
        "requirements/stage.txt",
        "images/stage/Dockerfile",
        "pyproject.toml",
        "README.md",
    ],
)
def test_the_name_changes_with_what_goes_in(changed, tree):
    before = images.stage_image(GIVEN, tree)
    with (tree / changed).open("a", encoding="utf-8") as file:
        file.write("\n# a comment\n")
    assert before != images.stage_image(GIVEN, tree)


def test_the_name_changes_with_a_file_more(tree):
    before = images.stage_image(GIVEN, tree)
    (tree / "fireworks" / "added.py").touch()
    assert before != images.stage_image(GIVEN, tree)


def test_byte_code_and_tests_are_not_in_the_name(tree):
    before = images.stage_image(GIVEN, tree)
    (tree / "fireworks" / "__pycache__").mkdir()
    (tree / "fireworks" / "__pycache__" / "errors.cpython-311.pyc").touch()
    (tree / "tests").mkdir()
    (tree / "tests" / "test_x.py").touch()
    assert before == images.stage_image(GIVEN, tree)


def test_base_and_build_of_torch_are_in_the_name(tree):
    names = {
        images.stage_image(environment, tree)
        for environment in (GIVEN, {"FIREWORKS_BASE_IMAGE": "base:2"}, {**GIVEN, "FIREWORKS_TORCH_INDEX": "https://x"})
    }
    assert 3 == len(names)


@pytest.mark.parametrize(("engine", "expected"), [("docker", {}), (None, {"BASE": engines.base_image()})])
def test_the_base_is_made_here_only_without_an_engine(engine, expected, monkeypatch):
    monkeypatch.setattr(images, "find_engine", lambda: engine)
    assert expected == images.build_arguments({})


def test_a_wheel_has_the_version_of_its_checkout(tree, tmp_path):
    with (tree / "fireworks" / "errors.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    here = subprocess.check_output([sys.executable, "-c", VERSION], cwd=tree, text=True)
    wheel = images.build_wheel(tmp_path / "dist", tree)
    venv.create(tmp_path / "fresh", with_pip=False)
    site = next((tmp_path / "fresh").glob("lib/*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(f"{DEPENDENCIES}\n", encoding="utf-8")
    show = f"import fireworks; print(fireworks.__file__); {VERSION}"
    python = tmp_path / "fresh" / "bin" / "python"
    file, there = subprocess.check_output([python, "-c", show], cwd=tmp_path, text=True).splitlines()
    assert str(site / "fireworks" / "__init__.py") == file
    assert here.strip() == there
    unchanged = subprocess.check_output([sys.executable, "-c", VERSION], cwd=ROOT, text=True)
    assert unchanged.strip() != there
    # The ready-made stages are in it, and are found.
    show = "from fireworks.operators import report as r; print(r.function.__code__.co_filename, r.ref.module)"
    stage, module = subprocess.check_output([python, "-c", show], cwd=tmp_path, text=True).split()
    assert (str(site / "fireworks/operators/report/stage.py"), "fireworks.operators") == (stage, module)


def test_equal_sources_give_an_equal_wheel(tree, tmp_path):
    first, second = (images.build_wheel(tmp_path / name, root) for name, root in (("a", ROOT), ("b", tree)))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert {"fireworks"} == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert "fireworks/py.typed" in names
    stages = {path.relative_to(ROOT / "operators").as_posix() for path in ROOT.glob("operators/*/stage.py")}
    assert {f"fireworks/operators/{name}" for name in stages} <= set(names)


def test_a_change_of_our_code_makes_less_than_a_megabyte_new(tmp_path):
    left_out = re.search(r"-x '(.+?)'", (ROOT / "images" / "stage" / "Dockerfile").read_text(encoding="utf-8"))
    with zipfile.ZipFile(images.build_wheel(tmp_path)) as archive:
        archive.extractall(tmp_path / "code")
    assert compileall.compile_dir(tmp_path / "code", quiet=1, rx=re.compile(left_out[1]))
    assert list(tmp_path.glob("code/fireworks/workflow/__pycache__/stage.*"))
    assert not list(tmp_path.glob("code/fireworks/cli/__pycache__/*"))
    with tarfile.open(tmp_path / "layer.tar.gz", "w:gz") as layer:
        layer.add(tmp_path / "code", ".")
    assert (tmp_path / "layer.tar.gz").stat().st_size < 1_000_000


def test_the_image_has_the_versions_that_tests_run_with():
    stage = pinned("stage.txt")
    assert stage <= pinned("dev.txt")
    names = {Requirement(line).name for line in stage}
    assert {"torch", "pyarrow", "obstore", "plotly"} <= names
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & names


def test_a_dockerfile_names_no_latest_image_and_no_registry():
    text = (ROOT / "images" / "stage" / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^ARG BASE=(\S+)", text, re.MULTILINE)
    assert [True] == [re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) is not None for base in bases]
    assert re.search(r"^USER 8737:8737$", text, re.MULTILINE)


class Cluster:
    """What `make_stage_image` needs of a provider, and what it did with it."""

    pulls = False

    def __init__(self, *present):
        self.present, self.loaded = list(present), 0

    def images(self):
        return list(self.present)

    def layers(self):
        return frozenset()

    def load_image(self, archive):
        self.loaded += 1
        self.present.append(archive.read_text(encoding="ascii"))

    def remove_image(self, name):
        self.present.remove(name)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An engine that writes names instead of images, and a cache of its own."""

    class Names(engines.Docker):
        kept: list[str] = []

        def build(self, context, dockerfile, name, arguments):
            assert ["dist", "images", "requirements"] == sorted(path.name for path in context.iterdir())
            self.kept.append(name)

        def save(self, name, archive, known):
            archive.write_text(name, encoding="ascii")

        def names(self):
            return list(self.kept)

        def remove(self, names):
            self.kept[:] = [name for name in self.kept if name not in names]

    Names.kept = []
    monkeypatch.setattr(images, "_engine", lambda settings, environment: Names("docker"))
    return {**GIVEN, "FIREWORKS_CLUSTER_CACHE": str(tmp_path / "cache"), "kept": Names.kept}


def test_an_image_is_made_once(environment, tree, capsys):
    cluster = Cluster()
    names = {images.make_stage_image(cluster, environment, tree) for _ in range(3)}
    assert 1 == cluster.loaded
    assert names == {images.stage_image(environment, tree)} == set(cluster.present)
    assert "the cluster has the image" in capsys.readouterr().out


def test_the_last_versions_are_kept_and_what_is_not_ours(environment, tree, monkeypatch):
    monkeypatch.setattr(images, "KEPT", 2)
    others = ["localhost/pause:1", f"{images.REPOSITORY}-of-another:1"]
    cluster = Cluster(*others, f"{images.REPOSITORY}:{'0' * 12}")
    made = []
    for number in range(3):
        (tree / "fireworks" / "errors.py").write_text(f"# {number}\n", encoding="utf-8")
        made.append(images.make_stage_image(cluster, environment, tree))
    assert [*others, *made[1:]] == cluster.present
    assert made[2:] == environment["kept"]


def test_a_version_that_somebody_removed_takes_no_place(environment, tree, monkeypatch):
    monkeypatch.setattr(images, "KEPT", 2)
    cluster = Cluster()
    first = images.make_stage_image(cluster, environment, tree)
    for number in range(2):
        (tree / "fireworks" / "errors.py").write_text(f"# {number}\n", encoding="utf-8")
        made = images.make_stage_image(cluster, environment, tree)
        cluster.remove_image(made)
    assert [first] == cluster.present


def test_the_last_two_sets_of_packages_are_kept(environment, tree):
    cluster = Cluster()
    made = []
    for number in (0, 0, 1, 0, 2):
        (tree / "requirements" / "stage.txt").write_text(f"torch=={number}\n", encoding="utf-8")
        (tree / "fireworks" / "errors.py").write_text(f"# {len(made)}\n", encoding="utf-8")
        made.append(images.make_stage_image(cluster, environment, tree))
    assert [made[number] for number in (0, 1, 3, 4)] == cluster.present


def test_a_tree_that_changes_under_the_build_is_refused(environment, tree, monkeypatch):
    def edit(target, root):
        (root / "fireworks" / "errors.py").write_text("# edited\n", encoding="utf-8")

    monkeypatch.setattr(images, "build_wheel", edit)
    cluster = Cluster()
    with pytest.raises(ClusterError, match="must stay as it is .* Run it again"):
        images.make_stage_image(cluster, environment, tree)
    assert [] == cluster.present


def test_an_existing_cluster_says_how_an_image_gets_there(tmp_path):
    existing = Existing("production", "ns", tmp_path, tmp_path)
    with pytest.raises(
        ClusterError, match=r"through its registry.*images/README\.md shows, and set FIREWORKS_STAGE_IMAGE"
    ):
        images.make_stage_image(existing, {**GIVEN, "FIREWORKS_CLUSTER_CACHE": str(tmp_path)})


def test_an_image_that_was_pushed_is_taken_by_its_name(tmp_path, capsys):
    pushed = {**GIVEN, "FIREWORKS_STAGE_IMAGE": "images.example.org/stage:1"}
    assert "images.example.org/stage:1" == images.stage_image(pushed)
    existing = Existing("production", "ns", tmp_path, tmp_path)
    assert "images.example.org/stage:1" == images.make_stage_image(existing, pushed)
    assert "FIREWORKS_STAGE_IMAGE names it" in capsys.readouterr().out


def test_an_image_that_is_named_must_be_in_a_cluster_that_pulls_none(environment, tree):
    cluster = Cluster("localhost/named:1")
    named = {**environment, "FIREWORKS_STAGE_IMAGE": "localhost/named:1"}
    assert "localhost/named:1" == images.make_stage_image(cluster, named, tree)
    with pytest.raises(ClusterError, match="must name an image that the cluster has, but is localhost/x:1"):
        images.make_stage_image(cluster, {**named, "FIREWORKS_STAGE_IMAGE": "localhost/x:1"}, tree)
    assert 0 == cluster.loaded


def test_errors_are_one_line(monkeypatch, capsys):
    def fail(environment):
        raise ClusterError("the cluster must be up")

    monkeypatch.setattr(images, "choose", fail)
    assert 1 == images.main(["make"])
    assert "error: the cluster must be up\n" == capsys.readouterr().err
