"""The tree of exceptions: complete, sorted, drawn as it is."""

import builtins
import inspect
import pickle
import re

import pytest

from fireworks import errors
from fireworks.errors import (
    ClusterUnavailable,
    CompileError,
    CutError,
    DatabaseUnavailable,
    FireworksError,
    ParameterizationError,
    StoreError,
    StoreUnavailable,
    TransientError,
    did_you_mean,
)

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__]
BRANCH = re.compile(r"^(?P<indent>[│ ]*)[├└]── (?P<name>\w+)\s*(?P<builtin>\w*Error)?\b", re.MULTILINE)


def drawn():
    """Name → parent's name and builtin base, as the module's docstring draws them."""
    parents, tree = {0: "FireworksError"}, {}
    for branch in BRANCH.finditer(errors.__doc__):
        depth = len(branch["indent"].removeprefix("    ")) // 4
        tree[branch["name"]] = (parents[depth], branch["builtin"])
        parents[depth + 1] = branch["name"]
    return tree


def test_everything_public_is_exported_in_order():
    own = [
        name
        for name, value in vars(errors).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == errors.__name__
    ]
    assert sorted(own) == errors.__all__


def test_the_tree_is_drawn_as_it_is():
    actual = {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not FireworksError}
    assert {name: parent for name, (parent, _) in drawn().items()} == actual


@pytest.mark.parametrize(("name", "builtin"), [(name, builtin) for name, (_, builtin) in drawn().items() if builtin])
def test_an_error_is_the_builtin_it_says(name, builtin):
    assert issubclass(getattr(errors, name), getattr(builtins, builtin))


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_has_a_summary_and_reads_as_its_message(kind):
    assert kind.__doc__
    error = kind(["what is wrong"] if kind in {CompileError, CutError} else "what is wrong")
    assert str(error) == "what is wrong"
    assert isinstance(error, FireworksError)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_crosses_processes(kind):
    error = kind(["one", "two"] if kind in {CompileError, CutError} else "what is wrong")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__


def test_a_parameterization_error_lists_what_is_missing():
    error = ParameterizationError("a component is missing", missing=iter(["a", "b"]))
    assert error.missing == ["a", "b"]
    assert pickle.loads(pickle.dumps(error)).missing == ["a", "b"]


def test_a_cut_error_shows_every_finding():
    error = CutError(iter(["first", "second"]))
    assert error.findings == ["first", "second"]
    assert str(error) == "first\nsecond"


def test_only_what_may_pass_is_tried_again():
    transient = [kind for kind in CLASSES if issubclass(kind, TransientError)]
    assert transient == [TransientError, StoreUnavailable, ClusterUnavailable, DatabaseUnavailable]
    assert not issubclass(StoreError, TransientError)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("windw", " Did you mean 'window'?"), ("stp", " Did you mean 'step'?"), ("zebra", ""), ("", "")],
)
def test_near_misses_are_suggested(name, suggestion):
    assert did_you_mean(name, iter(["window", "step"])) == suggestion
