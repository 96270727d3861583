"""What is printed goes on to where it was going, and is kept."""

import os
import subprocess
import sys
import time

import pytest

from fireworks.errors import StoreFull
from fireworks.workflow import capturing
from fireworks.workflow.capturing import LogChunks, captured_streams

CODE = """
import os, sys
from fireworks.workflow.capturing import LogChunks, captured_descriptors
kept = []
with captured_descriptors(LogChunks(lambda number, lines: kept.extend(lines))):
    print("from python")
    os.write(1, b"from a library\\n")
    print("an error", file=sys.stderr)
    os.system("echo from a child")
print(sorted(line.text.decode() for line in kept))
"""


def run(code):
    """In a process of its own, whose output is a pipe, as a worker's is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


def test_descriptors_are_copied_native_libraries_and_children_included():
    done = run(CODE)
    assert "an error\n" == done.stderr
    *passed_on, kept = done.stdout.splitlines()
    assert ["from a child", "from a library", "from python"] == sorted(passed_on)
    assert "['an error\\n', 'from a child\\n', 'from a library\\n', 'from python\\n']" == kept


LATE = """
import sys, time
from fireworks.workflow.capturing import LogChunks, captured_descriptors
kept, printed = [], []
with captured_descriptors(LogChunks(lambda number, lines: kept.extend(lines))):
    for number in range(3):
        printed.append(time.time())
        print(number)
        time.sleep(0.2)
print(all(abs(line.time - moment) < 0.15 for line, moment in zip(kept, printed, strict=True)))
"""


def test_lines_have_the_time_of_their_printing_not_that_of_a_full_block():
    assert ["0", "1", "2", "True"] == run(LATE).stdout.splitlines()


def test_streams_are_copied_and_restored(capsys):
    kept = []
    before = sys.stdout
    with captured_streams(LogChunks(lambda number, lines: kept.extend(lines))):
        print("héllo", 1, flush=True)
        sys.stderr.write("wor")
        print("between")
        sys.stderr.write("ld\n")
        print("no end", end="")
    assert before is sys.stdout
    assert ("héllo 1\nbetween\nno end", "world\n") == capsys.readouterr()
    assert ["héllo 1\n", "between\n", "world\n", "no end"] == [line.text.decode() for line in kept]
    assert sorted(line.time for line in kept) == [line.time for line in kept]


def test_many_bytes_come_in_numbered_chunks_of_bounded_size():
    kept = []
    chunks = LogChunks(lambda number, lines: kept.append((number, lines)))
    for number in range(3 * 2**14):
        chunks.write(b"%015d\n" % number)
    chunks.write(b"rest")
    chunks.close()
    assert list(range(len(kept))) == [number for number, _ in kept]
    assert all(sum(len(line.text) for line in lines) <= 2**18 for _, lines in kept)
    texts = [line.text for _, lines in kept for line in lines]
    assert [*(b"%015d\n" % number for number in range(3 * 2**14)), b"rest"] == texts


@pytest.fixture
def quick(monkeypatch):
    """Handing on every fifth of a second."""
    monkeypatch.setattr(capturing, "_INTERVAL_S", 0.2)


def test_a_line_is_handed_on_although_nothing_follows_it(quick):
    kept = []
    chunks = LogChunks(lambda number, lines: kept.append((time.time(), [line.text for line in lines])))
    chunks.write(b"a\n")
    chunks.write(b"no end yet")
    deadline = time.monotonic() + 5
    while len(kept) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    chunks.write(b", but now\n")
    chunks.close()
    assert [[b"a\n"], [b"no end yet"], [b", but now\n"]] == [texts for _, texts in kept]
    # At full multiples of the interval, so that all attempts do so together.
    assert all(moment % 0.2 < 0.15 for moment, _ in kept[:2])


def test_a_very_long_line_is_kept_in_pieces():
    kept = []
    chunks = LogChunks(lambda number, lines: kept.extend(lines))
    chunks.write(b"x" * 100_000)
    chunks.write(b"y\n")
    chunks.close()
    assert [(100_000, b"x"), (2, b"\n")] == [(len(line.text), line.text[-1:]) for line in kept]


def test_a_store_that_takes_nothing_does_not_end_the_attempt(quick, capsys):
    def refuse(number, lines):
        raise StoreFull("the store has no space left.")

    with captured_streams(LogChunks(refuse)):
        for _ in range(6):
            print("x" * 2**20)
            time.sleep(0.1)
    out, err = capsys.readouterr()
    assert 6 * (2**20 + 1) == len(out)
    assert "warning: what is printed can no longer be kept: the store has no space left.\n" == err


def test_printing_waits_for_a_store_that_is_far_behind():
    begun, kept = [], []

    def slowly(number, lines):
        begun.append(time.monotonic())
        time.sleep(0.3 if number == 0 else 0)
        kept.extend(lines)

    chunks = LogChunks(slowly)
    for _ in range(9):
        chunks.write(b"x" * 2**20 + b"\n")
    assert time.monotonic() - begun[0] > 0.25
    chunks.close()
    assert 9 * 2**20 + 9 == sum(len(line.text) for line in kept)


def test_a_fork_keeps_nothing_and_waits_for_nothing():
    kept = []
    chunks = LogChunks(lambda number, lines: kept.extend(lines))
    chunks.write(b"parent\n")
    child = os.fork()
    if child == 0:
        for _ in range(9):
            chunks.write(b"x" * 2**20)
        os._exit(0)
    assert (child, 0) == os.waitpid(child, 0)
    chunks.close()
    assert [b"parent\n"] == [line.text for line in kept]
