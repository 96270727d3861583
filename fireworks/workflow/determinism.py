"""Seeds, threads and algorithms: what makes a stage give the same bytes on every runner.

Comes in: the plan's seed, a stage's resources. Goes out: used around building and pulling by
`fireworks.workflow.execution` and `fireworks.workflow.cutting`.
"""

import os
import platform
import random
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec
from blake3 import blake3

__all__ = ["derive_seed", "generators", "level_processor", "reproducibly", "set_generators", "warn_of_other_level"]


def level_processor(environ: MutableMapping[str, str] = os.environ) -> None:
    """Ask ATen and MKL for one capability level, so that all processors with AVX2 compute the same sums.

    Both read it once: call this before torch is imported.
    """
    if platform.machine() in {"x86_64", "AMD64"}:
        environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
        environ.setdefault("MKL_CBWR", "AVX2")
    environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def warn_of_other_level(environ: Mapping[str, str] = os.environ) -> None:
    """Warn if torch had chosen its level before `level_processor` could: this process then sums in another order."""
    import torch

    found, asked = torch.backends.cpu.get_cpu_capability(), environ.get("ATEN_CPU_CAPABILITY", "")
    if asked and found.lower() != asked.lower():
        warnings.warn(
            f"equal outputs on all runners need one processor level, {asked}, but this process computes with {found}. "
            "Import fireworks.workflow (or use Stage, run, …) before the first computation with torch.",
            stacklevel=4,
        )


def derive_seed(*parts: str | int) -> int:
    """A seed of 63 bits that depends on every part and on nothing else.

    >>> derive_seed(0, "phage", 1) == derive_seed(0, "phage", 1) != derive_seed(0, "phage", 2)
    True
    """
    return int.from_bytes(blake3(msgspec.json.encode(parts)).digest(8), "little") >> 1


def generators() -> dict[str, Any]:
    """The states of all generators, those of GPUs included once CUDA is in use; as `pack_state` takes them."""
    import numpy as np
    import torch

    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, next_gauss = random.getstate()
    cuda: Any = torch.cuda
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda.get_rng_state_all() if cuda.is_initialized() else [],
        "numpy": [name, np.asarray(keys), position, has_gauss, gauss],
        "random": [version, list(internal), next_gauss],
    }


def set_generators(state: Mapping[str, Any]) -> None:
    """Set what `generators` gave; GPUs that are not here are passed over."""
    import numpy as np
    import torch

    torch.set_rng_state(state["torch"])
    # Checkpoints of earlier versions know of no GPUs.
    for device, saved in enumerate(state.get("cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(saved, device)
    np.random.set_state(tuple(state["numpy"]))
    version, internal, next_gauss = state["random"]
    random.setstate((version, tuple(internal), next_gauss))


@contextmanager
def reproducibly(seed: int, threads: int = 1) -> Iterator[None]:
    """Seed torch, numpy and random, set torch's threads and deterministic algorithms; restore all of it at the end.

    Args:
        seed: 63 bits, as from `derive_seed`.
        threads: What torch may use within one operation; it decides how sums are split.
    """
    import numpy as np
    import torch

    before, seed_before = generators(), torch.initial_seed()
    settings = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    gradients = torch.is_grad_enabled()
    try:
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        torch.set_num_threads(threads)
        # Does what `use_deterministic_algorithms` does, without importing torch's compiler, which takes seconds.
        torch.set_deterministic_debug_mode("error")
        yield
    finally:
        # For GPUs that were not in use before: they take their state from the seed when they come into use.
        torch.manual_seed(seed_before)
        set_generators(before)
        torch.set_num_threads(settings[0])
        torch.set_deterministic_debug_mode(settings[1])
        torch.set_grad_enabled(gradients)
