"""Instants as Swift writes and reads them. Inside: integer microseconds UTC."""

from __future__ import annotations

import calendar
import email.utils

from andromede.clock import US, http_date, utc

_LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z: no date behind it can be written."""


def timestamp(us: int) -> str:
    """`X-Timestamp`: seconds with five decimals."""
    return f"{us // US}.{us % US // 10:05d}"


def shown_second(us: int) -> int:
    """The whole second that `Last-Modified` shows: rounded up, so that no later change hides in it."""
    return -(-us // US)


def last_modified(us: int) -> str:
    """`Last-Modified`."""
    return http_date(shown_second(us))


def listed(us: int) -> str:
    """`last_modified` of listings: microseconds, no zone."""
    return utc(us).strftime("%Y-%m-%dT%H:%M:%S.%f")


def parse_date(value: str) -> int | None:
    """Seconds of an HTTP date in any of the three forms of RFC 9110 5.6.7, None for anything else."""
    if len(value) > 64:
        return None
    try:
        parsed = email.utils.parsedate_tz(value)
        if parsed is None:
            return None
        return calendar.timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def representable(seconds: int) -> bool:
    """Whether a second can be stored and shown as a date."""
    return 0 <= seconds <= _LAST_SECOND
