"""Hostile input: words that break programs, and how they get into texts, JSON and XML."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NUMBERS = (
    "0", "-1", "-0", "1", "2", "007", "1e3", "1e309", "NaN", "Infinity", "-Infinity", "0x10", "1_000", "+1", " 1",
    "1.5",
    "65536", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551616",
    "99999999999999999999999999", "1" * 400, "\u0663\u0664", "\u00b2",
)  # fmt: skip
DATES = (
    "2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999+14:00",
    "10000-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "2020-01-01T00:00:00.000Z", "20261128T120000Z", "253402300800",
    "Thu, 31 Feb 2026 25:61:61 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT",
    "Thu, 01 Jan 0001",
    "Sat, 28 Nov 2026 10:00:00 +9999", "now", "1", "P1D",
)  # fmt: skip
RANGES = (
    "bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0", "bytes=5-1", "bytes=0-99999999999999999999", "bytes=99-",
    "bytes=18446744073709551616-", "bytes=0-0,2-2", "bytes=0-1,1-2,-1", "bytes=" + "0-0," * 60 + "1-1", "bits=0-1",
    "bytes 0-1/2", "bytes=--1", "bytes=a-b", "bytes=", "bytes=0-1;x",
)  # fmt: skip
UNICODE = (
    "\u00e9\u4e2d\U0001f600", "\u202eevil\u202c", "a\u0301\u0301\u0301", "\ufeffx", "\u0000", "\ud800", "\uffff",
    "\u2028",
    "\u00ad", "K\u212a", "\u0130\u0131", "x\u200bx",
)  # fmt: skip
BYTES = (
    b"\xc0\x80",
    b"\xc0\xaf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\x80",
    b"\xf8\x88\x80\x80\x80",
)
TEXTS = (
    "", " ", "null", "true", "false", "[]", "{}", "''", '"', "\\", "%", "%zz", "%00", "*", "**", "?", "..", "../..",
    "/",
    "//", ".", "a" * 255, "a" * 256, "a" * 1025, "a" * 5000, "${filename}", "${jndi:x}", "{api}", "%(project_id)s",
    "' OR 1=1--", "<x/>", "&lt;", "&#0;", "&bad;", "]]>", "<!--", "a=b&c=d", "a,b", ",", ";", "=", "==", "AAAA", "AA==",
    "/box/k", "box/k", "=?utf-8?q?x?=", "id=x", "emailAddress=x", ".r:*", ".rlistings", "*:*", "AES256", "aws:kms",
    "GOVERNANCE", "COMPLIANCE", "ON", "OFF", "private", "public-read", "COPY", "REPLACE", "ENABLED", "Enabled",
    "Suspended",
    "SHA256", "CRC32", "CRC64NVME", "url", "put", "get", "delete", "json", "xml", "tar.gz", "default", "0" * 32,
    "GET", "x",
)  # fmt: skip


def wire(text: str) -> str:
    """The text as its UTF-8 bytes, one character each."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


ODD: tuple[str, ...] = (
    *(wire(word) for word in (*NUMBERS, *DATES, *RANGES, *UNICODE, *TEXTS)),
    *(raw.decode("latin-1") for raw in BYTES),
)
_UNSENT = dict.fromkeys((*range(32), 127))
_UNQUOTED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$'()*,;:@")
_ESCAPED = {chr(code): chr(code) if chr(code) in _UNQUOTED else f"%{code:02X}" for code in range(256)}


def value(text: str) -> str:
    """As much of the text as a header line can carry."""
    return text.translate(_UNSENT).strip(" \t")[:7000]


def escaped(text: str) -> str:
    """Wire text as it stands in a target."""
    return "".join([_ESCAPED[char] for char in text])


@dataclass(slots=True)
class Chance:
    """Dice, and things that the server has named in its answers."""

    dice: random.Random
    learned: dict[str, list[str]] = field(default_factory=dict)

    def maybe(self, probability: float) -> bool:
        return self.dice.random() < probability

    def one(self, words: Sequence[Any]) -> Any:
        return words[int(self.dice.random() * len(words))]

    def odd(self) -> str:
        """A word as it goes over the wire."""
        roll = self.dice.random()
        if roll < 0.9:
            return str(self.one(ODD))
        if roll < 0.95:
            return self.dice.randbytes(self.dice.randrange(1, 40)).decode("latin-1")
        return str(self.one(ODD)) + str(self.one(ODD))

    def learn(self, kind: str, name: str, most: int = 24) -> None:
        kept = self.learned.setdefault(kind, [])
        if len(kept) < most:
            kept.append(name)
        else:
            kept[self.dice.randrange(most)] = name

    def known(self, kind: str, otherwise: str) -> str:
        """Something learned, now and then forgotten or damaged."""
        kept = self.learned.get(kind)
        if not kept or self.maybe(0.05):
            return self.odd() if self.maybe(0.3) else otherwise
        return str(self.one(kept))


_TEXT_NODE = re.compile(r">([^<>]*)<")
_ELEMENT = re.compile(r"<([A-Za-z]+)>[^<>]*</\1>")
_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">'
    '<!ENTITY e SYSTEM "file:///etc/passwd">]>'
)


def xml(chance: Chance, document: str) -> bytes:
    """A valid document, mostly made invalid in one or two places."""
    for _ in range(chance.one((0, 1, 1, 1, 2, 3))):
        roll = chance.dice.random()
        spots = list((_TEXT_NODE if roll < 0.55 else _ELEMENT).finditer(document))
        if not spots:
            break
        spot = chance.one(spots)
        if roll < 0.5:
            document = document[: spot.start(1)] + chance.odd() + document[spot.end(1) :]
        elif roll < 0.55:
            document = document[: spot.start(1)] + "<a>" * chance.one((1, 50, 3000)) + document[spot.end(1) :]
        elif roll < 0.75:
            document = document[: spot.start()] + document[spot.end() :]
        elif roll < 0.9:
            document = document[: spot.end()] + spot[0] * chance.one((1, 1, 2, 200)) + document[spot.end() :]
        else:
            document = document.replace(f"<{spot[1]}>", f"<{spot[1]} xmlns='x' a='&lt;'>", 1)
    raw = document.encode("latin-1", "replace")
    roll = chance.dice.random()
    if roll < 0.9:
        return raw
    if roll < 0.93:
        return _BOMB.encode() + raw.replace(b">x<", b">&d;&e;<")
    if roll < 0.96:
        return raw[: chance.dice.randrange(len(raw) + 1)]
    return (
        chance.one((b"\xef\xbb\xbf", b"<?xml version='1.0' encoding='utf-16'?>", b"<?xml version='9'?>", b"\0", b"<a>"))
        + raw
    )


ODD_JSON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, 2**31, 2**63, 2**64, 10**400, "", " ", "x", "\u00e9\U0001f600", "a\u0000b",
    "\ud800",
    "x" * 300, "x" * 70_000, [], {}, [None], ["x"], [[[]]], {"id": None}, {"x": {"y": []}}, "default",
    "2030-01-01T00:00:00Z",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59.999999+14:00", "%", "{api}", "%(project_id)s", "../..", "'--",
    {"immutable": 1},
    [{}], "*", "[", "(a+)+$",
)  # fmt: skip


def mangled(chance: Chance, document: Any) -> Any:
    """A document with one member, at any depth, replaced, added or left out."""
    if isinstance(document, dict) and document and chance.maybe(0.85):
        name = chance.one(
            [*document, *document, "extra", "options", "roles", "expires_at", "tags", "password", "id", "name"]
        )
        if chance.maybe(0.1):
            return {key: item for key, item in document.items() if key != name}
        return {**document, name: mangled(chance, document.get(name))}
    if isinstance(document, list) and document and chance.maybe(0.6):
        return [mangled(chance, document[0]), *document[1:]] * chance.one((1, 1, 2, 40))
    return chance.one(ODD_JSON)


def jsons(chance: Chance, document: Any) -> bytes:
    """A document as bytes, mostly made invalid."""
    for _ in range(chance.one((0, 1, 1, 2))):
        document = mangled(chance, document)
    raw = json.dumps(document, ensure_ascii=chance.maybe(0.5)).encode("utf-8", "surrogatepass")
    roll = chance.dice.random()
    if roll < 0.9:
        return raw
    if roll < 0.93:
        return raw[: chance.dice.randrange(len(raw) + 1)]
    if roll < 0.95:
        return b"[" * 60_000 + raw
    if roll < 0.97:
        return b'{"a":' * 20_000 + raw
    return chance.one(
        (
            b"\xef\xbb\xbf" + raw,
            raw.decode("utf-8", "replace").encode("utf-16"),
            b"\xff" + raw,
            raw + b"}",
            b"NaN",
            raw * 2,
        )
    )
