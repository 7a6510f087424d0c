"""Conditional requests: reads, copies, writes and deletes (RFC 9110 13, API reference "Conditional requests")."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from andromede.clock import US
from andromede.errors import Invalid, Precondition
from andromede.objects.model import NO_CONDITIONS, Conditions, Version
from andromede.objects.s3 import kinds
from andromede.objects.s3.sigv4 import instant

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

_READ = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
_COPY = "x-amz-copy-source-"


def names(header: str, etag: str) -> bool:
    """Whether a list of entity tags (or `*`) names `etag`. Weak tags and missing quotes are taken as equal."""
    if header.strip() == "*":
        return True
    for part in header.split(","):
        text = part.strip().removeprefix("W/")
        if text.strip('"') == etag:
            return True
    return False


def unmodified(call: S3Call, version: Version) -> bool:
    """Check the conditions of a GET or HEAD: True means 304. Raises `Precondition`."""
    if not call.kinds & kinds.CONDITION:
        return False
    headers = call.headers
    match, none = headers.get("if-match"), headers.get("if-none-match")
    since, until = headers.get("if-modified-since"), headers.get("if-unmodified-since")
    if match is None and none is None and since is None and until is None:
        return False
    shown = version.created_us // US * US
    if match is not None:
        if not names(match, version.etag):
            raise failed("If-Match")
    elif until is not None and (when := instant(until)) is not None and shown > when:
        raise failed("If-Unmodified-Since")
    if none is not None:
        return names(none, version.etag)
    return since is not None and (then := instant(since)) is not None and shown <= then


def check_source(call: S3Call, version: Version) -> None:
    """The four conditions of a copy. Raises `Precondition` for any that fails."""
    headers = call.headers
    match, none = headers.get(_COPY + "if-match"), headers.get(_COPY + "if-none-match")
    since, until = headers.get(_COPY + "if-modified-since"), headers.get(_COPY + "if-unmodified-since")
    shown = version.created_us // US * US
    if match is not None:
        if not names(match, version.etag):
            raise failed(_COPY + "if-match")
    elif until is not None and (when := instant(until)) is not None and shown > when:
        raise failed(_COPY + "if-unmodified-since")
    if none is not None:
        if names(none, version.etag):
            raise failed(_COPY + "if-none-match")
    elif since is not None and (then := instant(since)) is not None and shown <= then:
        raise failed(_COPY + "if-modified-since")


def failed(name: str) -> Precondition:
    """412 PreconditionFailed."""
    return Precondition(
        "at least one of the pre-conditions you specified did not hold", "condition", fields={"Condition": name}
    )


def of_write(call: S3Call) -> Conditions:
    """The conditions of a put or of the completion of an upload."""
    if not call.kinds & kinds.CONDITION:
        return NO_CONDITIONS
    headers = call.headers
    match, none = headers.get("if-match"), headers.get("if-none-match")
    if match is None and none is None:
        return NO_CONDITIONS
    return Conditions(if_match=match, if_none_match=none)


def of_delete(call: S3Call) -> Conditions:
    """The conditions of a delete. Raises `Invalid` for a malformed one."""
    if not call.kinds & kinds.CONDITION:
        return NO_CONDITIONS
    headers = call.headers
    match = headers.get("if-match")
    when, size = headers.get("x-amz-if-match-last-modified-time"), headers.get("x-amz-if-match-size")
    return delete_conditions(match, when, size)


def delete_conditions(match: str | None, when: str | None, size: str | None) -> Conditions:
    """Conditions of one delete from their texts. Raises `Invalid`."""
    if match is None and when is None and size is None:
        return NO_CONDITIONS
    moment = None
    if when is not None:
        moment = instant(when) if when[-3:] == "GMT" else iso_instant(when)
        if moment is None:
            raise Invalid("the last-modified time of the condition is not a date", "invalid_argument")
    length = None
    if size is not None:
        if not size.isdigit() or not size.isascii() or len(size) > 15:
            raise Invalid("the size of the condition is not a number of bytes", "invalid_argument")
        length = int(size)
    return Conditions(if_match=match, if_match_last_modified_us=moment, if_match_size=length)


def iso_instant(text: str) -> int | None:
    """Microseconds of an ISO 8601 time, None when it is none."""
    try:
        found = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return instant(text)
    when = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
    return int(when.timestamp()) * US + when.microsecond
