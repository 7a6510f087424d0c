"""Hostile input: a reference parser of request streams that gives no quarter (RFC 9112), to count with.

It is written apart from the program's parsers and accepts only what every parser must read in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
_LOOSE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +([!-~\x80-\xff]+) +HTTP/1\.([01])")
_EMPTY = re.compile(rb"[\r\n]*")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


@dataclass(slots=True)
class Stream:
    """`methods`: of the whole requests from the front on, as far as the connection lasts. `fault`: what is wrong
    with the next one; `partial`: it is right so far, but not whole."""

    methods: list[str] = field(default_factory=list)
    fault: str = ""
    partial: bool = False
    closed: bool = False


def read(data: bytes, forgiving: bool = False) -> Stream:
    """The requests that a strict server sees in a client's bytes. `forgiving`: what moves no boundary is let pass:
    more than one space in a request line, and empty lines of every kind between requests."""
    found = Stream()
    at = 0
    while at < len(data) and not found.closed:
        if forgiving:
            at += len(_EMPTY.match(data, at)[0])  # type: ignore[index]
        elif data.startswith(b"\r\n", at):
            at += 2
        if at == len(data):
            break
        at = _one(data, at, found, _LOOSE if forgiving else _LINE)
        if at < 0:
            return found
    return found


def _fails(found: Stream, fault: str) -> int:
    found.fault = fault
    return -1


def _one(data: bytes, at: int, found: Stream, form: re.Pattern[bytes]) -> int:
    stop = data.find(b"\r\n\r\n", at)
    if stop < 0:
        front = data[at:]
        if re.search(rb"(?<!\r)\n|\r(?!\n|$)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", front):
            return _fails(found, "a control character in a head")
        found.partial = True
        return -1
    lines = data[at:stop].split(b"\r\n")
    match = form.fullmatch(lines[0])
    if match is None:
        return _fails(found, "no request line")
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        pair = _FIELD.fullmatch(line)
        if pair is None:
            return _fails(found, "no header line")
        fields.append((pair[1].lower(), pair[2].strip(b" \t")))
    old = match[3] == b"0"
    values = dict(fields)
    hosts = sum(name == b"host" for name, _ in fields)
    if hosts > 1 or (hosts == 0 and not old):
        return _fails(found, "not exactly one Host")
    end = _framed(data, stop + 4, fields, old, found)
    if end < 0:
        return -1
    found.methods.append(match[1].decode())
    options = [option.strip().lower() for option in values.get(b"connection", b"").split(b",")]
    found.closed = old or b"close" in options
    return end


def _framed(data: bytes, at: int, fields: list[tuple[bytes, bytes]], old: bool, found: Stream) -> int:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if codings:
        if lengths or old or codings != [b"chunked"]:
            return _fails(found, "ambiguous framing")
        return _chunks(data, at, found)
    if not lengths:
        return at
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        return _fails(found, "odd Content-Length")
    end = at + int(lengths[0])
    if end > len(data):
        found.partial = True
        return -1
    return end


def _chunks(data: bytes, at: int, found: Stream) -> int:
    while True:
        stop = data.find(b"\r\n", at)
        if stop < 0:
            found.partial = True
            return -1
        size = _SIZE.fullmatch(data[at:stop])
        if size is None:
            return _fails(found, "odd chunk size")
        count = int(size[1], 16)
        if count == 0:
            return _trailers(data, stop + 2, found)
        at = stop + 2 + count
        if at + 2 > len(data):
            found.partial = True
            return -1
        if data[at : at + 2] != b"\r\n":
            return _fails(found, "a chunk without its end")
        at += 2


def _trailers(data: bytes, at: int, found: Stream) -> int:
    while True:
        stop = data.find(b"\r\n", at)
        if stop < 0:
            found.partial = True
            return -1
        if stop == at:
            return at + 2
        if _FIELD.fullmatch(data[at:stop]) is None:
            return _fails(found, "odd trailer")
        at = stop + 2
