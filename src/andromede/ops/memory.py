"""What the C library does with the memory of large blocks."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of glibc's malloc.h


def give_back_large(size: int = 1 << 20) -> bool:
    """Blocks of `size` bytes or more go back to the system when they are freed; False where the C library has no such
    setting. glibc would raise its own limit after the first large block and keep those that follow (mallopt(3)): a
    process that hashes passwords, 19 MiB each, would hold as many of them as it has threads for good."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_MMAP_THRESHOLD, size) == 1
