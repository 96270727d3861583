"""fasta-windows: windows of equal length over the sequences of a FASTA file, as numbers or as k-mer frequencies."""

import fireworks
from fireworks import File, Stage
from fireworks.toolbox import FastaPipe, KmerPipe, WindowPipe


@fireworks.pipeline
def fasta_windows(data: File, window: int = 4000, step: int = 500, kmers: int = 0, canonical: bool = False) -> Stage:
    """Cut sequences into windows.

    Args:
        data: A FASTA file, plain or gzipped.
        window: Bases in a window.
        step: Bases from one window's start to the next.
        kmers: Length of k-mers to count, 1 to 12; 0 gives the bases themselves.
        canonical: Whether a k-mer and its reverse complement count as one.
    """
    windows = FastaPipe(data) >> WindowPipe(window, step)
    return Stage(windows >> KmerPipe(kmers, canonical) if kmers else windows, name="fasta-windows")
