"""Injected time. Only this module reads clocks or sleeps."""

from __future__ import annotations

import datetime as dt
import time
from functools import lru_cache
from typing import Protocol

US = 1_000_000


class Clock(Protocol):
    """Wall time in integer microseconds UTC, and a monotonic second counter."""

    def now_us(self) -> int: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class Wall(Protocol):
    """Something that tells the time of day."""

    def now_us(self) -> int: ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class TrustedTime:
    """The wall clock for what cannot be taken back: expiry, removal, the end of a lock.

    A clock that jumps ahead by more than SLACK is believed only after it has gone on steadily for STEADY_SECONDS; until
    then time goes on at the pace of the monotonic clock. A clock that is set back is believed at once: that only keeps
    things longer. `last_us`: an instant known to have passed, of the run before this one (0: none is known); what the
    machine's clock says more than DAY_US after it counts as a jump, too. Safe to use from many threads."""

    SLACK_US = 600 * US
    DAY_US = 86_400 * US
    STEADY_SECONDS = 3600.0

    def __init__(self, clock: Clock, last_us: int = 0) -> None:
        self._clock = clock
        now, wall = clock.monotonic(), clock.now_us()
        known = last_us if 0 < last_us < wall - self.DAY_US else wall
        self._state = (now, known, now, wall - known)

    def now_us(self) -> int:
        """Microseconds UTC."""
        at, known, since, ahead = self._state  # one tuple: threads see all of it or none
        now, wall = self._clock.monotonic(), self._clock.now_us()
        believed = known + int((now - at) * US)
        found = wall - believed
        if found <= self.SLACK_US:
            self._state = (now, wall, now, 0)
            return wall
        if abs(found - ahead) > self.SLACK_US:
            since, ahead = now, found
        if now - since >= self.STEADY_SECONDS:
            self._state = (now, wall, now, 0)
            return wall
        self._state = (now, believed, since, ahead)
        return believed

    def ahead_us(self) -> int:
        """By how much the wall clock is ahead of what is believed; 0 when it is believed."""
        believed = self.now_us()
        return max(0, self._clock.now_us() - believed) if self._state[3] else 0


def utc(us: int) -> dt.datetime:
    """The aware UTC datetime of integer microseconds."""
    return dt.datetime.fromtimestamp(us // US, dt.UTC).replace(microsecond=us % US)


def iso_micro(us: int) -> str:
    """`2026-11-21T22:31:08.123456Z`, the form of Keystone's instants."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_milli(us: int) -> str:
    """`2026-11-21T22:31:08.123Z`, the form of S3's XML instants (rounded down)."""
    return to_second(us // US) + MILLI[us // 1000 % 1000]


MILLI = tuple(f".{number:03d}Z" for number in range(1000))
"""The end of `iso_milli`, by milliseconds."""


@lru_cache(maxsize=8192)
def to_second(seconds: int) -> str:
    """`2026-11-21T22:31:08`. Much of what is listed together was made together."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_second(us: int) -> str:
    """`2026-11-21T22:31:08Z`."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(seconds: int) -> str:
    """IMF-fixdate of RFC 9110 5.6.7."""
    t = dt.datetime.fromtimestamp(seconds, dt.UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[t.weekday()]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {t.day:02d} {names[t.month - 1]} {t.year:04d} {t.hour:02d}:{t.minute:02d}:{t.second:02d} GMT"
