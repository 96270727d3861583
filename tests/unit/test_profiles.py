"""Settings of places. Neighbours: `fireworks.workflow.profiles`, ``[tool.fireworks]``."""

import pytest

from fireworks.errors import ProfileError
from fireworks.workflow.profiles import Profile, find_project, load_profile

BASE = """
[tool.fireworks]
store = "results"
workers = 2

[tool.fireworks.profile.lab]
store = "s3://lab/fireworks"
runner = "processes"
store-in-pods = "s3://inside/fireworks"
"""


@pytest.fixture
def project(tmp_path):
    def write(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def _no_profile_chosen(monkeypatch):
    monkeypatch.delenv("FIREWORKS_PROFILE", raising=False)


def test_without_settings_the_store_is_in_the_project(tmp_path):
    assert Profile(store=str(tmp_path / ".fireworks" / "store")) == load_profile(tmp_path)


def test_the_base_holds_everywhere_and_paths_are_relative_to_the_project(project):
    folder = project(BASE)
    assert Profile(store=str(folder / "results"), workers=2) == load_profile(folder)


@pytest.mark.parametrize("chosen_by", ["argument", "environment"])
def test_a_profile_is_laid_over_the_base(project, monkeypatch, chosen_by):
    if chosen_by == "environment":
        monkeypatch.setenv("FIREWORKS_PROFILE", "lab")
    expected = Profile(store="s3://lab/fireworks", workers=2, runner="processes", store_in_pods="s3://inside/fireworks")
    assert expected == load_profile(project(BASE), "lab" if chosen_by == "argument" else None)


def test_the_argument_wins_over_the_environment(project, monkeypatch):
    monkeypatch.setenv("FIREWORKS_PROFILE", "nowhere")
    assert load_profile(project(BASE), "lab").runner == "processes"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (BASE, "lob", r"has no \[tool.fireworks.profile.lob\]. It has lab. Did you mean 'lab'"),
        ("", "lab", "It has none"),
        ('[tool.fireworks]\nstor = "x"', None, "known settings, but got 'stor'. Did you mean 'store'"),
        ("[tool.fireworks]\nzzz = 1", None, "Known are store, workers, runner"),
        ("[tool.fireworks]\nworkers = 0", None, "`workers` .* at least 1, but got 0"),
        ("[tool.fireworks]\nworkers = true", None, "`workers` .* but got True"),
        ("[tool.fireworks]\nstore = 3", None, "`store` .* must be a text, but got 3"),
        ('[tool.fireworks]\nrunner = "process"', None, "`runner` .* Did you mean 'processes'"),
        (
            '[tool.fireworks.profile.lab]\nimages = "x"',
            "lab",
            r"\[tool.fireworks.profile.lab\] .* Did you mean 'image'",
        ),
        ("[tool.fireworks]\nprofile = 3", None, "a profile must be a table"),
        ("[tool]\nfireworks = 3", None, "must be a table, but got 3"),
        ("[tool", None, "must be valid TOML"),
    ],
)
def test_wrong_settings_are_named(project, text, name, message):
    with pytest.raises(ProfileError, match=message):
        load_profile(project(text), name)


@pytest.mark.parametrize("landmark", ["pyproject.toml", ".git"])
def test_the_project_is_the_nearest_folder_with_a_landmark(tmp_path, landmark):
    (tmp_path / "outer" / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "outer" / ".git").mkdir()
    (tmp_path / "outer" / "inner" / landmark).touch()
    file = tmp_path / "outer" / "inner" / "deep" / "flow.py"
    file.touch()
    assert tmp_path / "outer" / "inner" == find_project(file)
    assert tmp_path / "outer" / "inner" == find_project(str(file.parent))


def test_without_landmark_it_is_the_folder_itself(tmp_path):
    file = tmp_path / "flow.py"
    file.touch()
    assert tmp_path == find_project(file)
    assert tmp_path == find_project(tmp_path)
