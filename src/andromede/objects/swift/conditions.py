"""Conditional reads (RFC 9110 13): which of the `If-*` headers decide, against what this door shows."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from andromede.objects.swift.times import parse_date

Header = Callable[[str], "str | None"]


class Verdict(Enum):
    """What the conditions of a read make of it."""

    GO = 200
    NOT_MODIFIED = 304
    FAILED = 412


def etags(value: str) -> set[str]:
    """The bare tags of a list; `*` stands for any."""
    found = set()
    for item in value.split(","):
        tag = item.strip().removeprefix("W/")
        found.add(tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag)
    return found


def judge(header: Header, etag: str, modified: int) -> Verdict:
    """`If-Match` beats `If-Unmodified-Since`, `If-None-Match` beats `If-Modified-Since`.

    `etag` is bare; `modified` is the second that `Last-Modified` shows."""
    if (wanted := header("if-match")) is not None:
        tags = etags(wanted)
        if etag not in tags and "*" not in tags:
            return Verdict.FAILED
    elif (unmodified := _seconds(header("if-unmodified-since"))) is not None and modified > unmodified:
        return Verdict.FAILED
    if (unwanted := header("if-none-match")) is not None:
        tags = etags(unwanted)
        if etag in tags or "*" in tags:
            return Verdict.NOT_MODIFIED
    elif (since := _seconds(header("if-modified-since"))) is not None and modified <= since:
        return Verdict.NOT_MODIFIED
    return Verdict.GO


def range_applies(header: Header, etag: str, modified: int) -> bool:
    """Whether `If-Range` lets a `Range` count: no such header, our tag, or a date not before ours."""
    value = header("if-range")
    if value is None:
        return True
    date = parse_date(value)
    if date is not None:
        return modified <= date
    return etag in etags(value)


def _seconds(value: str | None) -> int | None:
    return None if value is None else parse_date(value)
