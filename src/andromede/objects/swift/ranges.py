"""Byte ranges of one representation (RFC 9110 14) and the `multipart/byteranges` body."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

from andromede.errors import Invalid

MAX_RANGES = 50
MAX_OVERLAPS = 2
MAX_BACKWARD = 8
_SPEC = re.compile(r"(\d*)-(\d*)\Z", re.ASCII)

Span = tuple[int, int]
"""First byte and the byte behind the last."""


def parse(header: str, size: int) -> list[Span] | None:
    """The spans that a `Range` header asks of `size` bytes; None when the header says nothing we know.

    Raises `Invalid` (416) when no range can be satisfied or the list is made to waste work.
    """
    unit, equals, rest = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    asked: list[tuple[int | None, int | None]] = []
    for item in rest.split(","):
        text = item.replace(" ", "")
        match = _SPEC.match(text)
        if match is None or text == "-" or len(text) > 60:
            return None
        first, last = (int(digits) if digits else None for digits in match.groups())
        if first is not None and last is not None and last < first:
            return None
        asked.append((first, last))
    spans = [span for span in (_resolve(first, last, size) for first, last in asked) if span]
    if not spans or _wasteful(spans):
        raise Invalid("the requested range lies outside the object", "range", size=size)
    return spans


def _resolve(first: int | None, last: int | None, size: int) -> Span | None:
    if first is None:
        wanted = min(last or 0, size)
        return (size - wanted, size) if wanted else None
    if first >= size:
        return None
    return first, size if last is None else min(last + 1, size)


def _wasteful(spans: list[Span]) -> bool:
    if len(spans) == 1:
        return False
    if len(spans) > MAX_RANGES:
        return True
    overlaps = sum(
        1 for n, (start, stop) in enumerate(spans) for other in spans[:n] if start < other[1] and other[0] < stop
    )
    backward = sum(1 for before, after in itertools.pairwise(spans) if after[0] < before[0])
    return overlaps > MAX_OVERLAPS or backward > MAX_BACKWARD


def multipart(
    spans: list[Span], size: int, content_type: str, boundary: str, read: Callable[[int, int], Iterator[memoryview]]
) -> tuple[int, Iterator[bytes | memoryview]]:
    """The length and the chunks of a `multipart/byteranges` body."""
    heads = [_part_head(boundary, content_type, span, size) for span in spans]
    tail = f"--{boundary}--".encode()
    length = sum(len(head) + stop - start + 2 for head, (start, stop) in zip(heads, spans, strict=True)) + len(tail)

    def chunks() -> Iterator[bytes | memoryview]:
        for head, (start, stop) in zip(heads, spans, strict=True):
            yield head
            yield from read(start, stop)
            yield b"\r\n"
        yield tail

    return length, chunks()


def _part_head(boundary: str, content_type: str, span: Span, size: int) -> bytes:
    head = (
        f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {span[0]}-{span[1] - 1}/{size}\r\n\r\n"
    )
    return head.encode("latin-1", "replace")
