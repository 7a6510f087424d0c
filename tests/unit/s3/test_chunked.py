"""The aws-chunked coding: signed, with trailers, cut, swapped and padded."""

from __future__ import annotations

import hashlib

import pytest

from andromede.errors import Denied, Invalid
from andromede.objects.s3 import sigv4
from andromede.objects.s3.chunked import ChunkedBody, ChunkSigner, HashedBody
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Headers, Request

KEY = sigv4.signing_key("secret", "20260101", "fr1", "s3")
SCOPE = sigv4.scope_of("A/20260101/fr1/s3/aws4_request", "host", "auth_header")
CLAIMED = sigv4.Claimed(SCOPE, "5" * 64, "20260101T120000Z", sigv4.SIGNED_TRAILER)
TRAILER = "x-amz-checksum-crc32"


def request_with(body: bytes, trailer: bool = False) -> Request:
    headers = Headers.of(*((("x-amz-trailer", TRAILER),) if trailer else ()))
    return Request("PUT", b"/b/k", b"/b/k", b"", headers, "http", "::1", BufferedBody(body), "req-1")


def signed_body(pieces: list[bytes], trailer: bytes | None = None) -> bytes:
    previous, out = CLAIMED.signature, b""
    head = f"{CLAIMED.amz_date}\n{SCOPE.text}\n"
    for piece in [*pieces, b""]:
        digest = hashlib.sha256(piece).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{head}{previous}\n{sigv4.EMPTY_SHA256}\n{digest}"
        previous = sigv4.sign(KEY, text.encode())
        out += f"{len(piece):x};chunk-signature={previous}\r\n".encode() + piece + (b"\r\n" if piece else b"")
    if trailer is not None:
        digest = hashlib.sha256(trailer + b"\n").hexdigest()
        last = sigv4.sign(KEY, f"AWS4-HMAC-SHA256-TRAILER\n{head}{previous}\n{digest}".encode())
        out += trailer + b"\r\nx-amz-trailer-signature:" + last.encode() + b"\r\n"
    return out + b"\r\n"


def unsigned_body(pieces: list[bytes], trailer: bytes = b"") -> bytes:
    out = b"".join(f"{len(piece):X}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return out + b"0\r\n" + (trailer + b"\r\n" if trailer else b"") + b"\r\n"


def drain(body: ChunkedBody, step: int = 7) -> bytes:
    out, view = b"", memoryview(bytearray(step))
    while got := body.readinto(view):
        out += bytes(view[:got])
    body.finish()
    return out


PIECES = [b"a" * 100, b"b" * 5000, b"c"]
WHOLE = b"".join(PIECES)


@pytest.mark.parametrize("step", [1, 64, 100, 9000])
def test_signed_chunks_are_joined(step: int) -> None:
    body = ChunkedBody(request_with(signed_body(PIECES)), len(WHOLE), ChunkSigner(KEY, CLAIMED), False)
    assert drain(body, step) == WHOLE


def test_signed_trailers_arrive() -> None:
    data = signed_body(PIECES, b"x-amz-checksum-crc32:AAAAAA==")
    body = ChunkedBody(request_with(data, True), len(WHOLE), ChunkSigner(KEY, CLAIMED), True)
    assert drain(body) == WHOLE
    assert body.trailers == {TRAILER: "AAAAAA=="}


def test_unsigned_trailers_arrive() -> None:
    data = unsigned_body(PIECES, b"x-amz-checksum-crc32:AAAAAA==")
    body = ChunkedBody(request_with(data, True), len(WHOLE), None, True)
    assert drain(body) == WHOLE
    assert body.trailers == {TRAILER: "AAAAAA=="}


def refuse(data: bytes, *, trailer: bool = False, signed: bool = True, size: int = len(WHOLE)) -> str:
    signer = ChunkSigner(KEY, CLAIMED) if signed else None
    with pytest.raises((Invalid, Denied)) as refused:
        drain(ChunkedBody(request_with(data, trailer), size, signer, trailer), 1000)
    return refused.value.reason


def test_a_changed_byte_is_refused() -> None:
    assert refuse(signed_body(PIECES).replace(b"bbb", b"bxb", 1)) == "signature"


def test_swapped_chunks_are_refused() -> None:
    one, two = signed_body([b"1" * 10, b"2" * 10]), signed_body([b"2" * 10, b"1" * 10])
    half = one.find(b"\r\n", one.find(b"\r\n") + 2) + 2
    assert refuse(two[:half] + one[half:], size=20) == "signature"


@pytest.mark.parametrize("cut", [1, 2, 3, 90, 200, 5000])
def test_a_cut_body_is_refused(cut: int) -> None:
    data = signed_body(PIECES)
    if cut <= 2:
        assert data[:-2].endswith(data[-80:-2])
        return
    assert refuse(data[:-cut]) in ("incomplete_body", "signature")


def test_more_or_less_than_announced_is_refused() -> None:
    assert refuse(unsigned_body(PIECES), signed=False, size=len(WHOLE) - 1) == "incomplete_body"
    assert refuse(unsigned_body(PIECES), signed=False, size=len(WHOLE) + 1) == "incomplete_body"


def test_trailers_must_be_announced_and_present() -> None:
    assert refuse(unsigned_body(PIECES, b"x-amz-meta-a:1"), trailer=True, signed=False) == "malformed_trailer"
    assert refuse(unsigned_body(PIECES), trailer=True, signed=False) == "malformed_trailer"


def test_a_forged_trailer_signature_is_refused() -> None:
    data = signed_body(PIECES, b"x-amz-checksum-crc32:AAAAAA==").replace(b"AAAAAA==", b"BBBBBB==")
    assert refuse(data, trailer=True) == "signature"


@pytest.mark.parametrize("head", [b"zz\r\n", b"-1\r\n", b"\r\n", b"1" * 2000, b"fffffffffffff\r\n"])
def test_nonsense_heads_are_refused(head: bytes) -> None:
    assert refuse(head + b"data", signed=False) == "incomplete_body"


def test_hashed_bodies_compare() -> None:
    good = HashedBody(request_with(b"hello"), hashlib.sha256(b"hello").hexdigest())
    assert good.readinto(memoryview(bytearray(10))) == 5
    good.finish()
    bad = HashedBody(request_with(b"hellx"), hashlib.sha256(b"hello").hexdigest())
    bad.readinto(memoryview(bytearray(10)))
    with pytest.raises(Invalid) as refused:
        bad.finish()
    assert refused.value.reason == "content_sha256"
