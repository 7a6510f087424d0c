"""Token buckets per key in bounded memory."""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections import OrderedDict
from functools import lru_cache

from andromede.clock import Clock
from andromede.errors import OverQuota

_LONGEST = 128


@lru_cache(maxsize=4096)
def caller(address: str) -> str:
    """Whom an address counts for: itself, or of IPv6 the network of 64 bits that one subscriber is given at least."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


class RateLimiter:
    """At most `burst` uses at once and `rate` a second afterwards, per key; the `capacity` most recently
    seen keys are remembered."""

    def __init__(self, clock: Clock, rate: float, burst: int, capacity: int = 10_000) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Spend one use. Raises `OverQuota` (reason `rate`, detail `retry_after` in seconds)."""
        if (level := self._spend(_short(key))) < 1.0:
            raise self._refusal(level)

    def check(self, key: str) -> None:
        """The same without spending: for uses that only count when they fail."""
        key = _short(key)
        found = self._buckets.get(key)
        if found is not None and (level := self._level(*found, self._clock.monotonic())) < 1.0:
            raise self._refusal(level)

    def failed(self, key: str) -> None:
        """Spend one use that `check` had let through."""
        self._spend(_short(key))

    def _spend(self, key: str) -> float:
        """The level before; below 1 nothing was spent."""
        now = self._clock.monotonic()
        with self._lock:
            level = self._level(*self._buckets.pop(key, (float(self._burst), now)), now)
            self._buckets[key] = (level - 1.0 if level >= 1.0 else level, now)
            while len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        return level

    def _level(self, level: float, seen: float, now: float) -> float:
        return min(float(self._burst), level + (now - seen) * self._rate)

    def _refusal(self, level: float) -> OverQuota:
        seconds = max(1, int((1.0 - level) / self._rate) + 1)
        text = f"Too many authentication attempts; try again in {seconds} s."
        return OverQuota(text, "rate", retry_after=seconds)

    def __len__(self) -> int:
        return len(self._buckets)


def _short(key: str) -> str:
    """Keys come from clients: what is remembered of each is bounded."""
    return key if len(key) <= _LONGEST else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
