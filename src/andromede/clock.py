"""Injected time. Only this module reads clocks or sleeps."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

US = 1_000_000


class Clock(Protocol):
    """Wall time in integer microseconds UTC, and a monotonic second counter."""

    def now_us(self) -> int: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def utc(us: int) -> dt.datetime:
    """The aware UTC datetime of integer microseconds."""
    return dt.datetime.fromtimestamp(us // US, dt.UTC).replace(microsecond=us % US)


def iso_micro(us: int) -> str:
    """`2026-11-21T22:31:08.123456Z`, the form of Keystone's instants."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_milli(us: int) -> str:
    """`2026-11-21T22:31:08.123Z`, the form of S3's XML instants (rounded down)."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.") + f"{us // 1000 % 1000:03d}Z"


def iso_second(us: int) -> str:
    """`2026-11-21T22:31:08Z`."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(seconds: int) -> str:
    """IMF-fixdate of RFC 9110 5.6.7."""
    t = dt.datetime.fromtimestamp(seconds, dt.UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[t.weekday()]
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {t.day:02d} {names[t.month - 1]} {t.year:04d} {t.hour:02d}:{t.minute:02d}:{t.second:02d} GMT"
