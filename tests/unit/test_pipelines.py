"""Parameters of pipelines, and finding pipelines by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from fireworks import File, Pipe, Stage, load_pipeline, pipeline
from fireworks.errors import ParameterError, PipelineNotFound

TINY = Path(__file__).parents[1] / "projects" / "tiny" / "tiny.py"


@pipeline
def typed(
    count: int,
    rate: float = 0.5,
    flag: bool = False,
    names: list[str] | None = None,
    kind: Literal["a", "b"] = "a",
    file: File = File("x.txt"),
    maybe: File | None = None,
    anything=3,
):
    return Stage(Pipe([1]), name="a")


def test_texts_become_the_parameters_types():
    texts = {"count": "4", "rate": "1e-3", "flag": "true", "names": '["x","y"]', "kind": "b", "file": "y.txt"}
    expected = {"count": 4, "rate": 0.001, "flag": True, "names": ["x", "y"], "kind": "b", "file": "y.txt"}
    assert expected | {"maybe": None, "anything": 3} == typed.convert(texts)


@pytest.mark.parametrize("text", ["", "null", "none"])
def test_an_optional_file_can_be_left_out(text):
    assert None is typed.convert({"count": 1, "maybe": text})["maybe"]


def test_values_are_taken_as_they_are():
    assert "z.txt" == typed.convert({"count": 1, "file": File("z.txt")})["file"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs a value for 'count'. Give it: -p count=VALUE"),
        ({"count": "4.5"}, "'count' must be a whole number, but got '4.5'. Write it like: -p count=8."),
        ({"count": "5,000"}, "'count' must be a whole number, but got '5,000'. Did you mean 5000?"),
        ({"count": "4k"}, "'count' must be a whole number, but got '4k'. Did you mean 4000?"),
        ({"count": "2 M"}, "'count' must be a whole number, but got '2 M'. Did you mean 2000000?"),
        ({"count": "inf"}, "'count' must be a whole number, but got 'inf'. Write it like"),
        ({"count": "five"}, "'count' must be a whole number, but got 'five'. Write it like"),
        ({"count": 1, "rate": "0,5"}, "'rate' must be a number, but got '0,5'. Did you mean 0.5?"),
        ({"count": 1, "flag": "maybe"}, "'flag' must be true or false, but got 'maybe'. Write it like: -p flag=true."),
        ({"count": 1, "kind": "c"}, "'kind' must be one of a, b, but got 'c'. Write: -p kind=a."),
        ({"count": 1, "names": 3}, "'names' must be a list of texts, but got 3. Write: -p names=a,b."),
        ({"count": 1, "flg": "true"}, "no parameter 'flg'. Did you mean 'flag'"),
    ],
)
def test_wrong_parameters_are_named(given, message):
    with pytest.raises(ParameterError, match=message):
        typed.convert(given)


@pipeline
def listing(
    sizes: tuple[int, ...] = (8, 16),
    rates: list[float] | None = None,
    words: Sequence[str] = (),
    files: tuple[File, ...] = (),
    kinds: list[Literal["a", "b"]] | None = None,
):
    return Stage(Pipe([sizes, rates, words, files]), name="a")


@pytest.mark.parametrize("text", ["8,16", "8, 16", "[8, 16]", "[8,16]"])
def test_a_list_is_json_or_has_commas(text):
    assert [8, 16] == listing.convert({"sizes": text})["sizes"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"sizes": [8, 16], "rates": None, "words": [], "files": [], "kinds": None}),
        ({"rates": "1e-3,0.5", "words": "a,b c"}, {"rates": [0.001, 0.5], "words": ["a", "b c"]}),
        ({"words": '["a,b"]', "sizes": "4"}, {"words": ["a,b"], "sizes": [4]}),
        ({"words": "", "sizes": "", "rates": ""}, {"words": [], "sizes": [], "rates": None}),
        ({"sizes": [1, 2], "rates": (1,)}, {"sizes": [1, 2], "rates": [1.0]}),
        ({"files": "a.txt,b.txt"}, {"files": ["a.txt", "b.txt"]}),
    ],
)
def test_lists_become_the_parameters_types(given, expected):
    converted = listing.convert(given)
    assert expected == {name: converted[name] for name in expected}


@pytest.mark.parametrize("text", ["8,x", "8;16", "[8,", "8,,16"])
def test_a_list_of_something_else_is_refused(text):
    with pytest.raises(ParameterError, match="'sizes' must be a list of whole numbers, .* Write: -p sizes=8,16"):
        listing.convert({"sizes": text})


def test_a_list_reaches_the_function_in_its_own_type():
    [stage] = listing.build(listing.convert({"sizes": "1,2", "files": "a.txt"}))
    assert [(1, 2), None, [], (File("a.txt"),)] == stage.input.input


def test_files_of_a_list_are_looked_for_where_they_were_named(tmp_path, monkeypatch):
    (tmp_path / "a.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert [str(tmp_path / "a.txt"), "b.txt"] == listing.convert({"files": "a.txt,b.txt"}, tmp_path)["files"]


def test_all_missing_parameters_are_named_at_once():
    @pipeline
    def needy(count: int, rate: float, name: str = "x"):
        return Stage(Pipe([1]), name="a")

    with pytest.raises(ParameterError, match="needs values for 'count', 'rate'. Give them: -p count=VALUE"):
        needy.convert({})


def test_found_by_path():
    found = load_pipeline(f"{TINY}:tiny")
    assert ("tiny", "tiny", "tiny", ".") == (found.name, found.ref.module, found.ref.function, found.ref.root)
    assert TINY.parent == found.project


def test_a_modules_only_pipeline_needs_no_name():
    assert "tiny" == load_pipeline(str(TINY)).name


def test_one_defined_inside_a_function_stays_in_its_process():
    @pipeline
    def inner():
        return Stage(Pipe([1]), name="a")

    with pytest.raises(PipelineNotFound, match="must stand at the top of a module"):
        _ = inner.ref
