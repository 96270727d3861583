"""What the packages export, and that importing them is cheap."""

import importlib
import subprocess
import sys

import pytest

import fireworks
from fireworks import core, toolbox

ORIGINAL = {
    "Message", "TensorMessage", "cat", "Pipe", "HookedPassThroughPipe", "recursive", "Model", "PyTorch_Model",
    "model_from_module", "Junction", "Scaffold",
}  # fmt: skip


@pytest.mark.parametrize("package", [fireworks, core, toolbox], ids=lambda package: package.__name__)
def test_every_name_in_all_resolves(package):
    assert sorted(package.__all__) == package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("package", [fireworks, core, toolbox], ids=lambda package: package.__name__)
def test_all_is_what_the_table_exports(package):
    exported = {name for names in package._EXPORTS.values() for name in names}
    modules = set(package.__all__) - exported
    assert exported <= set(package.__all__)
    assert {importlib.import_module(f"{package.__name__}.{name}") for name in modules} == {
        getattr(package, name) for name in modules
    }


def test_names_of_the_original_are_there():
    assert set(fireworks.__all__) >= ORIGINAL
    assert fireworks.Message is core.Message


def test_import_paths_of_the_original_lead_to_our_names(tmp_path, monkeypatch):
    from fireworks.toolbox import pipes
    from fireworks.utils import exceptions, index_to_list, one_hot, slice_length, slice_to_list, subset_dict

    assert importlib.import_module("fireworks.utils.exceptions") is exceptions
    assert exceptions.ParameterizationError is fireworks.errors.ParameterizationError
    assert issubclass(exceptions.EndHyperparameterOptimization, RuntimeError)
    assert {getattr(pipes, name) for name in pipes.__all__} == {
        getattr(toolbox, name) for name in toolbox.__all__ if name.endswith("Pipe")
    }
    with pytest.raises(AttributeError, match="Did you mean 'BatchingPipe'"):
        pipes.BachingPipe
    assert [index_to_list(2), index_to_list(slice(1, 6, 2)), index_to_list([5])] == [[2], [1, 3, 5], [5]]
    assert [slice_to_list(slice(None, 2)), slice_to_list(slice(3, 0, -1))] == [[0, 1], [3, 2, 1]]
    assert [slice_length(slice(0, 5, 2)), slice_length([7, 8])] == [3, 2]
    assert one_hot(1, 3).tolist() == [0.0, 1.0, 0.0]
    assert subset_dict({"a": 1, "b": 2}, ["b"]) == {"b": 2}
    monkeypatch.chdir(tmp_path)
    assert fireworks.test_dir == str(tmp_path / "test")


@pytest.mark.parametrize("unbounded", [slice(1, None), slice(-3, 2), slice(0, -1), slice(None, 0, -1)])
def test_unbounded_slices_are_no_lists(unbounded):
    with pytest.raises(ValueError, match="bounds that count from 0"):
        fireworks.utils.slice_to_list(unbounded)


@pytest.mark.parametrize(
    ("package", "name", "near"), [(fireworks, "Mesage", "Message"), (toolbox, "FastPipe", "FastaPipe")]
)
def test_near_misses_are_suggested(package, name, near):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Did you mean '{near}'"):
        getattr(package, name)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import fireworks, fireworks.core, fireworks.toolbox.pipes, fireworks.utils",
            ["torch", "numpy", "pandas", "pyarrow"],
        ),
        ("from fireworks import Pipe, PyTorch_Model", ["pandas", "pyarrow"]),
        ("from fireworks.toolbox import WindowPipe, BatchingPipe", ["pandas", "pyarrow"]),
    ],
)
def test_imports_are_lazy(statement, absent):
    code = f"{statement}\nimport sys\nprint([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_star_import_gives_all_names():
    namespace = {}
    exec("from fireworks import *", namespace)
    assert set(fireworks.__all__) <= set(namespace)
