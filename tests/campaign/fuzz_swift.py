"""Hostile input to the Swift door: its routes, its manifests, its bulk requests and its signed URLs, spoilt."""

from __future__ import annotations

import hmac
import io
import json
import tarfile
import time

from andromede.objects.swift.call import HEADERS as KNOWN
from andromede.objects.swift.call import PREFIXES
from andromede.objects.swift.door import ROUTES
from tests.campaign.fuzz_ask import Ask, Target, form
from tests.campaign.fuzz_wire import Reply
from tests.campaign.fuzz_words import Chance, escaped, jsons, value

KEYS = ("o1", "o2", "a/b", "a/c", "slo", "dlo", "link", "seg/1", "seg/2", "\u00e9".encode().decode("latin-1"))
_NAMES = sorted(KNOWN - {"content-length", "transfer-encoding", "x-auth-token", "x-storage-token"}) + [
    prefix + "odd" for prefix in PREFIXES
]
_PARAMETERS = (
    "limit", "marker", "end_marker", "prefix", "delimiter", "path", "reverse", "format", "versions", "version-id",
    "multipart-manifest", "symlink", "part-number", "bulk-delete", "extract-archive", "heartbeat", "temp_url_sig",
    "temp_url_expires", "temp_url_prefix", "temp_url_ip_range", "filename", "inline", "version_marker", "async",
)  # fmt: skip
_LIKELY = {
    "format": ("json", "xml", "plain"), "limit": ("1", "10", "10000", "10001"), "multipart-manifest": ("put", "get",
    "delete"),
    "delimiter": ("/", "a"), "symlink": ("get",), "versions": ("", "true"), "reverse": ("true",), "part-number": ("1",
    "2"),
    "bulk-delete": ("",), "extract-archive": ("tar", "tar.gz", "tar.bz2"), "heartbeat": ("true",),
}  # fmt: skip
ROUTED = sorted(ROUTES)
KEY = "fuzz-temp-url-key"


def _parameter(chance: Chance) -> str:
    name = chance.one(_PARAMETERS)
    if name == "version-id" and chance.maybe(0.6):
        return "version-id=" + escaped(chance.known("swift version", "null"))
    likely = _LIKELY.get(name)
    text = chance.one(likely) if likely and chance.maybe(0.7) else chance.odd()
    return f"{name}={escaped(text)[:1500]}"


def _manifest(chance: Chance, box: str) -> bytes:
    """A static large object, mostly spoilt."""
    entries = [
        {"path": f"/{box}/{chance.one(KEYS)}", "etag": None, "size_bytes": None},
        {"path": f"/{box}/seg/1", "range": chance.one(("0-1", "-2", "1-", "9-1", ""))},
        {"data": "QUJD"},
    ]
    return jsons(chance, entries[: chance.one((1, 2, 3))])


def _archive(chance: Chance) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=chance.one(("w", "w:gz", "w:bz2"))) as archive:
        for _ in range(chance.one((0, 1, 3))):
            info = tarfile.TarInfo(
                chance.one(("a", "b/c", "../../x", "/etc/passwd", "x" * 200, chance.odd()[:90])) or "x"
            )
            info.size, info.type = (
                chance.one((0, 3, 900)),
                chance.one((tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE)),
            )
            if info.type == tarfile.SYMTYPE:
                info.linkname, info.size = "/etc/passwd", 0
            archive.addfile(info, io.BytesIO(b"z" * info.size))
    raw = out.getvalue()
    if chance.maybe(0.4):
        spot = chance.dice.randrange(len(raw))
        raw = raw[:spot] + chance.dice.randbytes(4) + raw[spot + 4 :]
    return raw[:60_000] if chance.maybe(0.9) else raw[: chance.dice.randrange(len(raw))]


def _formpost(chance: Chance, path: str, headers: list[tuple[str, str]]) -> bytes:
    redirect, size, count = chance.one(("", "http://x/", chance.odd())), "1000", chance.one(("1", "3"))
    expires = str(int(time.time()) + 600) if chance.maybe(0.8) else chance.odd()
    text = f"{path}\n{redirect}\n{size}\n{count}\n{expires}"
    signature = hmac.new(KEY.encode(), text.encode("latin-1"), "sha256").hexdigest()
    fields = [("redirect", redirect), ("max_file_size", size), ("max_file_count", count), ("expires", expires)]
    fields.append(("signature", signature))
    if chance.maybe(0.3):
        fields.append((chance.one(("x_delete_at", "x_delete_after", "content-encoding", "x")), chance.odd()))
    headers.append(("content-type", "multipart/form-data; boundary=xBOUNDx"))
    body = form(fields, b"f" * chance.one((0, 5, 1200)), name=chance.one(("file", "file1", "x")))
    return body if chance.maybe(0.9) else body[: chance.dice.randrange(len(body))]


def _tempurl(chance: Chance, method: str, path: str) -> str:
    expires = str(int(time.time()) + 600) if chance.maybe(0.85) else chance.odd()
    name = chance.one(("sha256", "sha512", "sha1"))
    signed = hmac.new(KEY.encode(), f"{method}\n{expires}\n{path}".encode("latin-1"), name).hexdigest()
    if chance.maybe(0.1):
        signed = chance.odd()
    return f"temp_url_sig={escaped(signed)[:600]}&temp_url_expires={escaped(expires)[:600]}"


def ask(chance: Chance, to: Target, boxes: tuple[str, ...]) -> Ask:
    """A request to the Swift door."""
    level, method = chance.one(ROUTED)
    if chance.maybe(0.3):
        level, method = "object", chance.one(("PUT", "GET", "POST", "HEAD", "DELETE", "COPY"))
    if (level, method) in (("account", "DELETE"), ("container", "DELETE")) and chance.maybe(0.9):
        method = "GET"
    box = chance.one(boxes) if chance.maybe(0.96) else escaped(chance.odd())[:80] or "x"
    key = chance.one(KEYS) if chance.maybe(0.93) else chance.odd()
    path = f"/v1/{to.account}" if chance.maybe(0.98) else f"/v1/{escaped(chance.odd())[:60]}"
    if level != "account":
        path += f"/{box}"
    if level == "object":
        path += f"/{escaped(key)}"
    headers: list[tuple[str, str]] = []
    query: list[str] = []
    body = _special(chance, (level, method, path, box), headers, query)
    while chance.maybe(0.3):
        query.append(_parameter(chance))
    while chance.maybe(0.4):
        headers.append((chance.one(_NAMES), value(chance.odd())))
    auth = chance.one(_AUTHS)
    if level == "object" and chance.maybe(0.06):
        query.append(_tempurl(chance, method, path))
        auth = ""
    if chance.maybe(0.03):
        method = chance.one(("GET", "HEAD", "PUT", "POST", "DELETE", "COPY", "OPTIONS", "PATCH", "X"))
    chunked = chance.one((1, 7, 1000)) if body and len(body) < 3000 and chance.maybe(0.1) else 0
    target = path + ("?" + "&".join(query) if query else "")
    return Ask("swift", method, target, headers, body, auth, chunked, label=f"{method} {level}")


def _special(
    chance: Chance, where: tuple[str, str, str, str], headers: list[tuple[str, str]], query: list[str]
) -> bytes:
    """The body, and what makes a request one of the special kinds."""
    level, method, path, box = where
    roll = chance.dice.random()
    if level == "object" and method == "PUT":
        if roll < 0.15:
            query.append("multipart-manifest=put")
            return _manifest(chance, box)
        if roll < 0.25:
            headers.append(("x-symlink-target", f"{box}/{escaped(chance.one(KEYS))}"))
        elif roll < 0.33:
            headers.append(("x-object-manifest", f"{box}/seg/"))
        elif roll < 0.41:
            headers.append(("x-copy-from", f"/{box}/{escaped(chance.one(KEYS))}"))
        return b"d" * chance.one((0, 1, 10, 1000, 70_000)) if chance.maybe(0.9) else chance.dice.randbytes(100)
    if method == "COPY":
        headers.append(
            ("destination", f"/{box}/{escaped(chance.one(KEYS))}" if chance.maybe(0.8) else value(chance.odd()))
        )
    if method == "POST" and level == "account" and roll < 0.3:
        query.append("bulk-delete")
        headers.append(("content-type", "text/plain"))
        names = [f"{box}/{escaped(chance.one(KEYS))}" if chance.maybe(0.7) else chance.odd() for _ in range(4)]
        return "\n".join(names).encode("latin-1")
    if method == "PUT" and roll < 0.2 and level != "account":
        query.append("extract-archive=" + chance.one(("tar", "tar.gz", "tar.bz2")))
        return _archive(chance)
    if method == "POST" and level == "container" and roll < 0.3:
        return _formpost(chance, path, headers)
    if method == "POST" and level == "account":
        headers.append(("x-account-meta-temp-url-key", KEY))
    return b"" if roll < 0.95 else json.dumps({"a": 1}).encode()


_AUTHS = ("token:demo",) * 18 + ("token:stranger", "")


def learn(chance: Chance, reply: Reply) -> None:
    """Version ids for later."""
    if b"x-object-version-id" in reply.headers:
        chance.learn("swift version", reply.headers[b"x-object-version-id"].decode("latin-1"))
