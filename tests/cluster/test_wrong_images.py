"""Runs whose image is without Fireworks, or with another version: the cause comes back to the terminal, in one line.

Neighbours: `tests/cluster/provider/images.py`, `fireworks.workflow.closing`.
"""

import os
import shutil

import pytest

from cluster.provider.images import _build, _engine, _locked, build_arguments, stage_image
from cluster.provider.settings import read_settings
from cluster.runs import ROOT, UNRULY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Above the packages: nothing.
NOTHING = "FROM requirements AS stage\nENV PATH=/opt/fireworks/bin:${PATH}\nUSER 8737:8737\nWORKDIR /scratch\n"


def copied(folder):
    """What an image is made of."""
    for name in ("fireworks", "operators", "images", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def without(engine, folder):
    """An image of the packages alone."""
    dockerfile, name = folder / "images" / "stage" / "Dockerfile", "localhost/fireworks-stage-without:1"
    beginning, found, _ = dockerfile.read_text(encoding="utf-8").partition("FROM requirements AS code")
    assert found
    dockerfile.write_text(beginning + NOTHING, encoding="utf-8")
    engine.build(folder, dockerfile, name, build_arguments(os.environ))
    return name


def another(engine, folder):
    """The image of a tree that differs in a comment."""
    code = folder / "fireworks" / "errors.py"
    code.write_text(f"{code.read_text(encoding='utf-8')}# Another version.\n", encoding="utf-8")
    name = stage_image(os.environ, folder)
    _build(engine, name, os.environ, folder)
    return name


@pytest.fixture
def loaded(cluster, tmp_path):
    """Makes an image in a copy of the tree, and loads it."""
    settings, made = read_settings(), []
    engine = _engine(settings, os.environ)

    def call(make):
        archive = tmp_path / "image.tar"
        with _locked(settings):
            name = make(engine, copied(tmp_path / "tree"))
            engine.save(name, archive, cluster.layers())
        made.append(name)
        cluster.load_image(archive)
        return name

    yield call
    for name in made:
        cluster.remove_image(name)
    engine.remove(made)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (without, "its image may be without Fireworks, or with another version"),
        (another, "differs in: version fireworks-ml (planned "),
    ],
)
def test_an_image_that_does_not_fit_is_told(say, loaded, make, cause):
    done = say("submit", f"{UNRULY}:unruly", "--image", loaded(make), "--wait", code=1)
    [error] = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: stage 'rows' failed: ")
    assert cause in error
