"""`native.c` compiled for this machine, where it has a compiler. Nothing needs it: without it torch does the same."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("native.c")
FLAGS = ("-O3", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")

_pointer, _count, _number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class Native:
    """The compiled functions, on contiguous CPU tensors of one dtype. One thread, and the GIL is free meanwhile."""

    how = "compiled attention"

    def __init__(self, library: Path) -> None:
        functions = ctypes.CDLL(str(library))
        self._attend, self._norm, self._swiglu = functions.attend, functions.norm, functions.swiglu
        for function in (self._attend, self._norm, self._swiglu):
            function.restype = None
        self._attend.argtypes = [
            *(_count, _count, _count, _count),
            *(_pointer, _count, _pointer, _count, _pointer, _count),
            *(_pointer, _pointer, _pointer, _pointer, _count, _pointer, _count, _pointer),
            *(_count, _number, _number, _count, _pointer, _pointer),
        ]
        self._norm.argtypes = [_count, _count, _pointer, _pointer, _number, _pointer]
        self._swiglu.argtypes = [_count, _count, _pointer, _pointer]

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        turn: tuple[Tensor, Tensor] | None,
        keys: Tensor,
        values: Tensor,
        tables: Tensor,
        lengths: Tensor,
        longest: int,
        window: int | None,
        scale: float,
        cap: float | None,
    ) -> Tensor:
        """Turn, write into the cache, and attend, for t tokens, each against the pages of its own text.

        They are done one after the other, so a token sees what one before it has written.

        Args:
            query: [t, H, D], key, value: [t, K, D]; heads contiguous, any stride between tokens.
            turn: cos and signed sin, [t, 1, D] contiguous; None if query and key are turned already.
            keys, values: one layer's cache, [K, places, D].
            tables: [t, B] int64, the pages of each; any stride between tokens.
            lengths: [t] int64, keys that each sees, itself included.
            longest: the largest of them.
            window: sliding window.
            scale: on the scores.
            cap: see `Shape.score_cap`.

        Returns:
            [t, H D].
        """
        count, heads, size = query.shape
        kv_heads = key.shape[1]
        out = torch.empty(count, heads * size, dtype=query.dtype)
        scratch = torch.empty(heads // kv_heads * (2 * size + longest), dtype=torch.float32)
        cos, sin = (turn[0].data_ptr(), turn[1].data_ptr()) if turn is not None else (None, None)
        self._attend(
            *(count, heads, kv_heads, size),
            *(query.data_ptr(), query.stride(0), key.data_ptr(), key.stride(0), value.data_ptr(), value.stride(0)),
            *(cos, sin, keys.data_ptr(), values.data_ptr(), keys.stride(0), tables.data_ptr(), tables.stride(0)),
            *(lengths.data_ptr(), window or 0, scale, cap or 0, longest),
            *(scratch.data_ptr(), out.data_ptr()),
        )
        return out

    def norm(self, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        """RMSNorm over the last dimension of a contiguous tensor."""
        out = torch.empty_like(x)
        size = weight.numel()
        self._norm(x.numel() // size, size, x.data_ptr(), weight.data_ptr(), epsilon, out.data_ptr())
        return out

    def add_norm(self, x: Tensor, y: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        """x + y, and its RMSNorm."""
        total = x + y
        return total, self.norm(total, weight, epsilon)

    def swiglu(self, gate_up: Tensor) -> Tensor:
        """[T, 2 I] contiguous -> silu(gate) * up, [T, I]."""
        count, double = gate_up.shape
        out = torch.empty(count, double // 2, dtype=gate_up.dtype)
        self._swiglu(count, double // 2, gate_up.data_ptr(), out.data_ptr())
        return out


def find(dtype: torch.dtype, device: torch.device) -> Native | None:
    """The functions for this dtype, or None where torch is the better or the only way.

    They run on one thread, so with several torch is left to share its operations among them.
    """
    fits = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16) and torch.get_num_threads() == 1
    return _built(dtype) if fits else None


@lru_cache
def _built(dtype: torch.dtype) -> Native | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        log.info("no C compiler found; the torch path serves")
        return None
    flags = (*FLAGS, "-DBF16") if dtype == torch.bfloat16 else FLAGS
    try:
        return Native(_compile(compiler, flags))
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("native.c was not compiled (%s); the torch path serves", error)
        return None


def _compile(compiler: str, flags: tuple[str, ...]) -> Path:
    """The library, from the cache if this machine has compiled it before."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backtalk"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Compiled for this very processor: a home directory shared between machines holds one for each.
    identity = repr((SOURCE.read_bytes(), flags, compiler, platform.machine(), sorted(_processor()))).encode()
    library = cache / f"native-{hashlib.sha256(identity).hexdigest()[:16]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=cache) as beside:
            made = Path(beside) / library.name
            command = [compiler, *flags, str(SOURCE), "-o", str(made), "-lm"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            made.replace(library)  # two processes may compile at once; each finds a whole file
    return library


def _processor() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {platform.processor()}
    return {line for line in lines if line.startswith(("flags", "Features", "model name"))}
