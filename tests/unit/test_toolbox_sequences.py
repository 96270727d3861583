"""FASTA files, windows and k-mers, against plain Python."""

import gzip
import pickle
import re
import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks import File, Message
from fireworks.core import PartWriter
from fireworks.errors import FormatError, GraphError, SourceNotFound, UnsupportedColumn
from fireworks.store import open_store
from fireworks.toolbox import BioSeqPipe, FastaPipe, KmerPipe, WindowPipe
from fireworks.toolbox.fasta import parse
from fireworks.toolbox.windows import encode

TEXT = b">one first of  two\r\nacgt\r\nNNRY\r\n\r\n>two\nTT TT\nA-\n"
SEQUENCES = st.lists(st.text("ACGTN", max_size=30), max_size=4)


def sequences(*texts):
    return Message({"id": [f"s{i}" for i in range(len(texts))], "sequence": list(texts)})


def reverse_complement(kmer):
    return kmer.translate(str.maketrans("ACGT", "TGCA"))[::-1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "wrap", [str, File, lambda path: path, lambda path: [path]], ids=["str", "File", "Path", "list"]
)
def test_records_become_rows(tmp_path, pack, wrap):
    path = tmp_path / "x.fa"
    path.write_bytes(pack(TEXT))
    rows = FastaPipe(wrap(path))[:]
    assert list(rows["id"]) == ["one", "two"]
    assert list(rows["description"]) == ["first of  two", ""]
    assert list(rows["sequence"]) == ["ACGTNNRY", "TTTTA-"]


def test_several_files_and_globs(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.fa").write_text(f">{name}\nACGT\n")
    assert list(FastaPipe(File(tmp_path / "*.fa"))[:]["id"]) == ["a", "b"]
    assert list(FastaPipe([tmp_path / "b.fa", File(tmp_path / "a.fa")])[:]["id"]) == ["b", "a"]


def test_constructing_reads_nothing(tmp_path):
    pipe = FastaPipe(tmp_path / "later.fa")
    with pytest.raises(SourceNotFound, match="later.fa"):
        len(pipe)
    (tmp_path / "later.fa").write_text(">a\nACGT")
    assert len(pipe) == 1
    assert pickle.loads(pickle.dumps(pipe))._table is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "must hold a record, but x.fa is empty"),
        (b" \n\n", "must hold a record, but x.fa is empty"),
        (b"ACGT\n>a\nACGT\n", "must begin with '>', but x.fa begins with 'ACGT"),
        (b">a\nAC\n>\nACGT\n", "record 2 of x.fa has none"),
        (b">a\n>b\nACGT\n", "record 'a' of x.fa has none. Remove"),
        (b">a b\nACGT\nAC!T\n", "record 'a' of x.fa has '!' at position 7"),
        (b">a\nACGTE\n", "record 'a' of x.fa has 'E' at position 5"),
        (b">a\nAC>GT\n", "has '>' at position 3"),
        (b">\xff\nACGT\n", "headers must be UTF-8, but that of record 1"),
        (b"\x1f\x8b\x08broken", "must begin with '>'"),
    ],
)
def test_bad_fasta_is_named(text, match):
    with pytest.raises(FormatError, match=match) as caught:
        parse(text, "x.fa")
    assert "\n" not in str(caught.value)


def test_a_torn_gzip_file_is_named(tmp_path):
    (tmp_path / "x.fa.gz").write_bytes(gzip.compress(TEXT)[:-9])
    with pytest.raises(FormatError, match="x.fa.gz begins as a gzip file, but is torn"):
        FastaPipe(tmp_path / "x.fa.gz")[0]


def test_proteins_on_request(tmp_path):
    (tmp_path / "p.fa").write_text(">p\nMEELV*\n")
    assert FastaPipe(tmp_path / "p.fa", alphabet="protein")[0]["sequence"][0] == "MEELV*"
    with pytest.raises(FormatError, match="'E' at position 2"):
        FastaPipe(tmp_path / "p.fa")[0]
    with pytest.raises(GraphError, match="nucleotide or protein"):
        FastaPipe("x", alphabet="dna")


def test_the_originals_columns(tmp_path):
    (tmp_path / "x.fa").write_bytes(TEXT)
    rows = list(BioSeqPipe(str(tmp_path / "x.fa")))
    assert {name: list(rows[0][name]) for name in rows[0].columns} == {
        "dbxrefs": [[]],
        "descriptions": ["one first of  two"],
        "ids": ["one"],
        "names": ["one"],
        "sequences": ["ACGTNNRY"],
    }
    with pytest.raises(GraphError, match="filetype='genbank'"):
        BioSeqPipe("x.gb", filetype="genbank")


def test_a_column_of_lists_ends_no_stage_but_says_what_to_do(tmp_path):
    (tmp_path / "x.fa").write_bytes(TEXT)
    rows = BioSeqPipe(str(tmp_path / "x.fa"))[:]
    with pytest.raises(UnsupportedColumn, match=r"'dbxrefs'.*`del m\['dbxrefs'\]`, or join") as caught:
        PartWriter(open_store(tmp_path / "store"), "x/").write(rows)
    names = {"m": rows}
    exec(re.findall(r"with `(m\[[^`]*)`", str(caught.value))[0], names)
    assert names["m"]["dbxrefs"].tolist() == ["", ""]
    PartWriter(open_store(tmp_path / "store"), "x/").write(names["m"])


def test_letters_become_codes():
    assert encode("ACGTacgtUuNRé-").tolist() == [0, 1, 2, 3] * 2 + [3, 3, 4, 4, 4, 4]


@pytest.mark.filterwarnings("ignore:no sequence holds a window")
@given(texts=SEQUENCES, window=st.integers(1, 8), step=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_windows_are_those_of_plain_python(texts, window, step):
    expected = [
        (f"s{i}", start, start + window, encode(text[start : start + window]).tolist())
        for i, text in enumerate(texts)
        for start in range(0, len(text) - window + 1, step)
    ]
    pipe = WindowPipe(window, step, input=sequences(*texts))
    rows = pipe[:]
    found = zip(rows["sequence_id"], rows["start"].tolist(), rows["end"].tolist(), rows["bases"].tolist(), strict=True)
    assert list(found) == expected
    assert len(pipe) == len(expected)
    assert rows["bases"].shape == (len(expected), window)


def test_windows_are_copies_of_the_sequence():
    pipe = WindowPipe(4, 1, input=sequences("ACGTACGT"))
    pipe[0:2]["bases"].zero_()
    assert pipe[1]["bases"].tolist() == [[1, 2, 3, 0]]


@pytest.mark.filterwarnings("ignore:no sequence holds a window")
def test_column_types():
    rows = WindowPipe(4, 1, input=sequences("ACGTA"))[:]
    described = {"sequence_id": "str", "start": "int64", "end": "int64", "bases": "uint8[4]"}
    assert rows.describe_columns() == described
    assert rows[0:0].describe_columns() == WindowPipe(4, input=sequences("A"))[:].describe_columns() == described


def test_windows_of_a_stream():
    stream = iter([{"id": ["a"], "sequence": ["ACGTA"]}, {"id": ["b"], "sequence": ["GGGG"]}])
    assert WindowPipe(4, 1, input=stream)[:]["start"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("arguments", [{"window": 0}, {"step": 0}, {"window": 3.0}, {"step": "1"}])
def test_windows_refuse(arguments):
    with pytest.raises(ValueError, match="must be a positive int"):
        WindowPipe(**arguments)


@given(texts=st.lists(st.text("ACGTN", min_size=6, max_size=6), min_size=1, max_size=5), k=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_kmers_are_those_of_plain_python(texts, k):
    windows = Message({"bases": torch.stack([encode(text) for text in texts])})
    for canonical in (False, True):
        pipe = KmerPipe(k, canonical=canonical)
        found = pipe.count(windows)["kmers"]
        assert found.dtype == torch.float32
        assert found.shape == (len(texts), len(pipe.names))
        for row, text in zip(found, texts, strict=True):
            kmers = [text[i : i + k] for i in range(len(text) - k + 1) if "N" not in text[i : i + k]]
            counts = Counter(min(kmer, reverse_complement(kmer)) if canonical else kmer for kmer in kmers)
            expected = [counts[name] / max(len(kmers), 1) for name in pipe.names]
            assert row.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("k", "columns"), [(1, 2), (2, 10), (3, 32), (4, 136), (5, 512)])
def test_canonical_columns(k, columns):
    palindromes = 4 ** (k // 2) if k % 2 == 0 else 0
    assert len(KmerPipe(k, canonical=True).names) == columns == (4**k + palindromes) / 2


def test_many_windows_are_counted_in_parts(monkeypatch):
    rows = WindowPipe(50, 7, input=sequences("ACGGTTNACA" * 100))[:]
    whole = KmerPipe(3).count(rows)
    monkeypatch.setattr("fireworks.toolbox.windows._NUMBERS_AT_ONCE", 333)
    assert KmerPipe(3).count(rows) == whole


@pytest.mark.parametrize(("keep", "columns"), [(False, {"sequence_id", "start", "end", "kmers"}), (True, None)])
def test_other_columns_stay(keep, columns):
    rows = KmerPipe(2, keep=keep, input=WindowPipe(4, 1, input=sequences("ACGTA")))[:]
    assert set(rows.columns) == (columns or {"sequence_id", "start", "end", "kmers", "bases"})


@pytest.mark.filterwarnings("ignore:no sequence holds a window")
def test_kmers_of_no_windows_and_of_windows_that_are_too_short():
    assert KmerPipe(2, input=WindowPipe(9, input=sequences("ACGTA")))[:]["kmers"].shape == (0, 16)
    assert KmerPipe(3).count({"bases": torch.zeros(1, 2, dtype=torch.uint8)})["kmers"].sum() == 0


@pytest.mark.parametrize("k", [0, 13, 2.0])
def test_k_is_bounded(k):
    with pytest.raises(ValueError, match="k must be an int from 1 to 12"):
        KmerPipe(k)


def test_a_window_longer_than_all_sequences_is_told():
    rows = Message({"id": ["a", "b"], "sequence": ["ACGT", "ACGTA"]})
    with pytest.warns(UserWarning, match="`window` is 6, but the longest of 2 has 5 bases, .* Pass a smaller window"):
        assert 0 == len(WindowPipe(6, input=rows))
    assert 1 == len(WindowPipe(5, input=rows))
    assert 0 == len(WindowPipe(5, input=rows[:0]))


WINDOWS = """
import fireworks
from fireworks import File, Stage
from fireworks.toolbox import FastaPipe, WindowPipe

@fireworks.pipeline
def windows(window: int):
    return Stage(FastaPipe(File("a.fa")) >> WindowPipe(window), name="windows")
"""


@pytest.mark.parametrize("runner", ["inprocess", "processes"])
def test_a_run_without_rows_says_why_in_one_line(tmp_path, runner):
    (tmp_path / "pyproject.toml").write_text("[tool.fireworks]\n")
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    (tmp_path / "cutting_windows.py").write_text(WINDOWS)
    command = "import sys; from fireworks.cli import main; sys.exit(main())"
    arguments = ["run", "cutting_windows.py", "-p", "window=5000", "--runner", runner]
    program = [sys.executable, "-c", command]
    done = subprocess.run([*program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode
    [line] = [line for line in done.stderr.splitlines() if "no sequence" in line]
    assert "warning: no sequence holds a window: `window` is 5,000, but the longest of 1 has 4 bases" in line
