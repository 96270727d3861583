"""Every pipe of the toolbox keeps the promises of `fireworks.testing.pipes`."""

import pytest
import torch

from fireworks import HookedPassThroughPipe, Message, Pipe, PyTorch_Model
from fireworks.testing import pipes as conformance
from fireworks.toolbox import (
    BatchingPipe,
    BioSeqPipe,
    FastaPipe,
    FunctionPipe,
    GradientPipe,
    IndexMapperPipe,
    KmerPipe,
    LoopingPipe,
    RepeaterPipe,
    ShufflerPipe,
    TensorPipe,
    Title2LabelPipe,
    WindowPipe,
)
from fireworks.toolbox.preprocessing import SplitPipe

FASTA = ">a first\nACGTACGTNN\nACGT\n>short\nAC\n>b\nGGGCCCTTTAAACG\n>c\nACGUACGTAC\n"


def table():
    return Message({"x": torch.arange(7, dtype=torch.float32), "n": list(range(7)), "s": list("abcdefg")})


def sequences():
    return Message({"id": ["a", "b", "c"], "sequence": ["ACGTACGTNNAC", "AC", "GGGCCCTTTAAACG"]})


def windows():
    return WindowPipe(4, 2, input=sequences())[:]


def double(message):
    message["x"] = message["x"] * 2
    return message


class Scaling(PyTorch_Model):
    required_components = ("factor",)
    row_local = True

    def forward(self, message):
        message["y"] = message["x"] * self.factor.detach()
        return message


ROW_LOCAL = {
    "batches, kept": (lambda source: BatchingPipe(source, 3, last="keep"), table),
    "function": (lambda source: FunctionPipe(source, double, row_local=True), table),
    "tensors": (lambda source: TensorPipe(source, columns=["n"]), table),
    "labels": (lambda source: Title2LabelPipe("phage", source), table),
    "gradients": (lambda source: GradientPipe(source, columns=["x"]), table),
    "windows": (lambda source: WindowPipe(4, 2, input=source), sequences),
    "kmers": (lambda source: KmerPipe(2, input=source), windows),
    "canonical kmers": (lambda source: KmerPipe(2, canonical=True, keep=True, input=source), windows),
    "model": (lambda source: Scaling({"factor": [2.0]}, input=source), table),
}
RANDOM_ACCESS = ROW_LOCAL | {
    "pipe": (Pipe, table),
    "hooked": (HookedPassThroughPipe, table),
    "mapper": (lambda source: IndexMapperPipe(range(4), [6, 0, 3, 3], source), table),
    "split": (lambda source: SplitPipe("train", 0.4, 5, input=source), table),
    "repeater": (lambda source: RepeaterPipe(source, 3), table),
    "looping": (LoopingPipe, table),
}
OTHERS = {
    "batches": (lambda source: BatchingPipe(source, 3), table),
    "shuffler": (lambda source: ShufflerPipe(source, seed=3), table),
    "any function": (lambda source: FunctionPipe(source, double), table),
    "filter": (lambda source: FunctionPipe(source, double, row_local=True, one_to_one=False), table),
}
POSITIONED = ["mapper", "split", "batches", "batches, kept", "shuffler", "windows"]


def cases(entries):
    return pytest.mark.parametrize(("make", "source"), entries.values(), ids=entries.keys())


@pytest.mark.filterwarnings("ignore:no sequence holds a window")
@cases(ROW_LOCAL)
def test_row_local(make, source):
    conformance.check_row_local(make, source())


@cases(RANDOM_ACCESS)
def test_random_access(make, source):
    conformance.check_random_access(make(source()))


@cases(OTHERS)
def test_claims_no_random_access(make, source):
    assert not make(source()).random_access


@cases(RANDOM_ACCESS | OTHERS)
def test_reset(make, source):
    conformance.check_reset(make(source()), same_order=not isinstance(make(source()), ShufflerPipe))


@pytest.mark.parametrize("name", RANDOM_ACCESS | OTHERS)
def test_state(name):
    make, source = (RANDOM_ACCESS | OTHERS)[name]
    conformance.check_state(lambda: make(source()), n_items=2, resumes=name in POSITIONED)


@cases(RANDOM_ACCESS | OTHERS)
def test_arguments(make, source):
    conformance.check_arguments(make(source()))


@pytest.mark.parametrize("kind", [FastaPipe, BioSeqPipe])
def test_fasta(tmp_path, kind):
    path = tmp_path / "some.fa"
    path.write_text(FASTA)
    conformance.check_random_access(kind(path))
    conformance.check_reset(kind(path))
    conformance.check_state(lambda: kind(path))
    conformance.check_arguments(kind(path))


def test_a_chain_keeps_what_its_pipes_promise(tmp_path):
    path = tmp_path / "some.fa"
    path.write_text(FASTA)
    chain = FastaPipe(path) >> WindowPipe(4, 2) >> KmerPipe(2)
    conformance.check_random_access(chain)
    conformance.check_reset(chain)


def test_a_false_claim_of_random_access_is_found():
    class Backwards(HookedPassThroughPipe):
        random_access = True

        def _getitem_hook(self, message):
            return message[::-1]

    with pytest.raises(AssertionError, match=r"one pass and \[0:n\] must be equal"):
        conformance.check_random_access(Backwards(table()))


def test_a_false_claim_of_row_locality_is_found():
    def centre(message):
        message["x"] = message["x"] - message["x"].mean()
        return message

    def make(source):
        return BatchingPipe(source, 3, last="keep") >> FunctionPipe(function=centre, row_local=True)

    with pytest.raises(AssertionError, match="input cut at"):
        conformance.check_row_local(make, table())


def test_a_pipe_that_loses_its_place_is_found():
    class Forgetful(BatchingPipe):
        stateful_attributes = ()

    with pytest.raises(AssertionError, match="rest of a pass"):
        conformance.check_state(lambda: Forgetful(table(), 2), n_items=1)
