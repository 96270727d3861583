"""Orders of rows that depend on nothing but two numbers.

Comes in: a length, a seed and an epoch. Goes out: row numbers for `ShufflerPipe`, `train_test_split` and trainers.
"""

from hashlib import blake2b

import torch

__all__ = ["draw_seed", "permutation"]


def permutation(n: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of `n` rows in this epoch: a pure function of its arguments.

    The default generator is neither read nor advanced. The seed of the generator used is a blake2b hash of
    (`seed`, `epoch`), so neighbouring seeds and epochs are unrelated. Stable across processes, devices and
    architectures; across torch versions as far as `torch.randperm` of a CPU generator is (unchanged from 1.x to 2.15,
    not promised by torch): stages hash torch's version, so another version never mixes with cached results.

    Args:
        n: Number of rows.
        seed: Any integer.
        epoch: Any integer.

    Returns:
        int64 (n,), each of 0…n-1 once.
    """
    digest = blake2b(f"{seed}:{epoch}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.randperm(n, generator=generator)


def draw_seed() -> int:
    """A seed from torch's default generator, which every runner seeds: 0 … 2**31 - 1."""
    return int(torch.randint(2**31 - 1, ()).item())
