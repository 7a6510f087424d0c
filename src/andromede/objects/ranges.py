"""Ranges of keys. The order of keys is code point order, which is the byte order of their UTF-8."""

from __future__ import annotations

_LAST = "\U0010ffff"


def upper_bound(prefix: str) -> str | None:
    """The least string greater than everything that begins with the prefix; None when there is none.

    The last code point is raised by one, past the surrogates, which no key holds."""
    prefix = prefix.rstrip(_LAST)
    if not prefix:
        return None
    code = ord(prefix[-1]) + 1
    if 0xD800 <= code <= 0xDFFF:
        code = 0xE000
    return prefix[:-1] + chr(code)
