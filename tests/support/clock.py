"""A clock that stands still until told, and ids that count."""

from __future__ import annotations

import hashlib
import threading


class FakeClock:
    """Starts at 2026-01-01T00:00:00Z; `sleep` advances it."""

    def __init__(self, now_us: int = 1_767_225_600_000_000) -> None:
        self.us = now_us
        self.slept: list[float] = []

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.us += int(seconds * 1e6)

    def advance(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


class FakeIds:
    """Deterministic: the same sequence in every test."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    def _next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def hex(self) -> str:
        return f"{self._next():032x}"

    def dashed(self) -> str:
        digits = self.hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def secret(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            out += hashlib.sha256(self._next().to_bytes(8, "big")).digest()
        return out[:size]

    def uniform(self) -> float:
        return (self._next() % 1000) / 1000
