"""Token buckets per key in bounded memory."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict

from andromede.clock import Clock
from andromede.errors import OverQuota


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
        now = self._clock.monotonic()
        with self._lock:
            level, seen = self._buckets.pop(key, (float(self._burst), now))
            level = min(float(self._burst), level + (now - seen) * self._rate)
            allowed = level >= 1.0
            self._buckets[key] = (level - 1.0 if allowed else level, now)
            while len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        if not allowed:
            seconds = max(1, int((1.0 - level) / self._rate) + 1)
            raise OverQuota(f"Too many authentication attempts; try again in {seconds} s.", "rate", retry_after=seconds)

    def __len__(self) -> int:
        return len(self._buckets)
