"""Payload readers: hashed bodies and the aws-chunked coding with its signatures and trailers.

Signing reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks", with and without "Trailing Headers". Data reaches the writer before its chunk's signature is
known; a writer keeps nothing unless `finish` returns.
"""

from __future__ import annotations

import hashlib
import hmac

from andromede.errors import Denied, Invalid
from andromede.objects.s3 import sigv4
from andromede.web.stream.message import Request

LINE_MAX = 1024
TRAILERS_MAX = 16
BUFFER = 64 * 1024


class HashedBody:
    """A payload whose SHA-256 was signed."""

    __slots__ = ("_expected", "_hash", "_request", "trailers")

    def __init__(self, request: Request, expected: str) -> None:
        self._request = request
        self._expected = expected
        self._hash = hashlib.sha256()
        self.trailers: dict[str, str] = {}

    def readinto(self, view: memoryview) -> int:
        got = self._request.body.readinto(view)
        self._hash.update(view[:got])
        return got

    def finish(self) -> None:
        if self._request.body.readinto(memoryview(bytearray(1))):
            raise Invalid("the body is longer than announced", "incomplete_body")
        computed = self._hash.hexdigest()
        if not hmac.compare_digest(computed.encode(), self._expected.encode()):
            raise Invalid(
                "the provided x-amz-content-sha256 header does not match what was computed",
                "content_sha256",
                fields={"ClientComputedContentSHA256": self._expected, "S3ComputedContentSHA256": computed},
            )


class ChunkSigner:
    """The chain of chunk signatures, begun by the request's own."""

    __slots__ = ("_head", "_key", "_previous")

    def __init__(self, key: bytes, claimed: sigv4.Claimed) -> None:
        self._key = key
        self._previous = claimed.signature
        self._head = f"{claimed.amz_date}\n{claimed.scope.text}\n"

    def chunk(self, digest: str, given: str) -> None:
        """Check one chunk. Raises `Denied`."""
        tail = f"{self._previous}\n{sigv4.EMPTY_SHA256}\n{digest}"
        self._step(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._head}{tail}", given)

    def trailer(self, lines: bytes, given: str) -> None:
        """Check the trailers (`name:value\\n` each). Raises `Denied`."""
        digest = hashlib.sha256(lines).hexdigest()
        self._step(f"AWS4-HMAC-SHA256-TRAILER\n{self._head}{self._previous}\n{digest}", given)

    def _step(self, text: str, given: str) -> None:
        computed = sigv4.sign(self._key, text.encode("latin-1", "replace"))
        if not hmac.compare_digest(computed.encode(), given.encode("latin-1", "replace")):
            raise Denied("the signature of a chunk does not match its bytes", "signature")
        self._previous = computed


class ChunkedBody:
    """An aws-chunked payload. `signer` is None for unsigned chunks; `trailer` says whether trailers follow;
    `declared`: their names as `x-amz-trailer` announced them."""

    __slots__ = (
        "_at",
        "_body",
        "_buffer",
        "_declared",
        "_done",
        "_end",
        "_expected",
        "_given",
        "_hash",
        "_left",
        "_signer",
        "_total",
        "_trailer",
        "trailers",
    )

    def __init__(self, request: Request, expected: int, signer: ChunkSigner | None, trailer: bool) -> None:
        self._body = request.body
        self._expected = expected
        self._signer = signer
        self._trailer = trailer
        names = request.headers.get("x-amz-trailer") or ""
        self._declared = {name.strip().lower() for name in names.split(",") if name.strip()}
        self._buffer = memoryview(bytearray(min(BUFFER, (request.body.length or BUFFER) + 1)))
        self._at = self._end = 0
        self._left = 0
        self._total = 0
        self._given = ""
        self._hash = hashlib.sha256()
        self._done = False
        self.trailers: dict[str, str] = {}

    def readinto(self, view: memoryview) -> int:
        got = 0
        while got < len(view) and not self._done:
            if not self._left and not self._next_chunk():
                break
            piece = view[got : got + self._left]
            count = self._data(piece)
            if not count:
                raise _incomplete()
            if self._signer is not None:
                self._hash.update(piece[:count])
            got += count
            self._left -= count
            if not self._left:
                self._end_chunk()
        return got

    def finish(self) -> None:
        if not self._done and (self._left or self._next_chunk()):
            raise Invalid("the body is longer than x-amz-decoded-content-length says", "incomplete_body")
        if self._total != self._expected:
            raise _incomplete()

    def _data(self, view: memoryview) -> int:
        held = min(len(view), self._end - self._at)
        if held:
            view[:held] = self._buffer[self._at : self._at + held]
            self._at += held
            return held
        return self._body.readinto(view)

    def _next_chunk(self) -> bool:
        """Read a chunk's head; False at the last one, whose trailers are then read too."""
        line = self._line()
        size, _, extension = line.partition(b";")
        try:
            if not size or len(size) > 12 or size.translate(None, b"0123456789abcdefABCDEF"):
                raise ValueError
            self._left = int(size, 16)
        except ValueError:
            raise Invalid("a chunk's size is not a hexadecimal number", "incomplete_body") from None
        self._total += self._left
        if self._total > self._expected:
            raise Invalid("the chunks hold more than x-amz-decoded-content-length says", "incomplete_body")
        if self._signer is not None:
            name, _, given = extension.strip().partition(b"=")
            if name != b"chunk-signature":
                raise Denied("a chunk has no signature", "signature")
            self._given = given.decode("latin-1")
        if self._left:
            return True
        self._last()
        return False

    def _end_chunk(self) -> None:
        if self._line():
            raise Invalid("a chunk does not end where its size says", "incomplete_body")
        self._check_chunk()

    def _check_chunk(self) -> None:
        if self._signer is not None:
            self._signer.chunk(self._hash.hexdigest(), self._given)
            self._hash = hashlib.sha256()

    def _last(self) -> None:
        self._check_chunk()
        self._done = True
        lines, given = b"", ""
        for _ in range(TRAILERS_MAX):
            line = self._line(may_end=True)
            if not line:
                break
            name, _, value = line.partition(b":")
            text = name.strip().lower().decode("latin-1")
            if text == "x-amz-trailer-signature":
                given = value.strip().decode("latin-1")
                continue
            if not self._trailer or text not in self._declared:
                raise Invalid(f"the trailer {text[:64]!r} was not announced in x-amz-trailer", "malformed_trailer")
            self.trailers[text] = value.strip().decode("latin-1")
            lines += name.strip().lower() + b":" + value.strip() + b"\n"
        if self._declared - self.trailers.keys() and self._trailer:
            raise Invalid("a trailer that x-amz-trailer announced is missing", "malformed_trailer")
        if self._signer is not None and self._trailer:
            self._signer.trailer(lines, given)

    def _line(self, may_end: bool = False) -> bytes:
        """A line without its CR LF. At the end of the body: empty if it `may_end` there."""
        line = b""
        while True:
            held = bytes(self._buffer[self._at : min(self._end, self._at + LINE_MAX)])
            feed = held.find(b"\n")
            if feed >= 0:
                self._at += feed + 1
                line += held[:feed]
                if not line.endswith(b"\r") and not may_end:
                    raise Invalid("a chunk's head does not end in CR LF", "incomplete_body")
                return line.removesuffix(b"\r")
            line += held
            if len(line) >= LINE_MAX:
                raise Invalid("a line of the chunked body is too long", "incomplete_body")
            self._at = self._end = 0
            self._end = self._body.readinto(self._buffer[: self._ahead()])
            if not self._end:
                if may_end:
                    return line
                raise _incomplete()

    def _ahead(self) -> int:
        """How far to read for a line: all of it when the body is in memory, else no further than a line."""
        return len(self._buffer) if self._body.buffered else min(len(self._buffer), LINE_MAX)


def _incomplete() -> Invalid:
    return Invalid("the body ended before the bytes that were announced", "incomplete_body")
