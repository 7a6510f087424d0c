"""Hostile input below the requests: bytes that proxies and servers have read differently, cut and sent in pieces.

Every case is judged by the reference parser: there are never more answers than it counts requests, plus one that
refuses the first that is wrong.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass

from tests.campaign import fuzz_strict
from tests.campaign.fuzz_wire import Cut, Late, Malformed, Reply, Wire
from tests.campaign.fuzz_words import Chance

GOOD = {"s3": b"GET /?x-id=ListBuckets HTTP/1.1\r\nhost: h\r\n\r\n", "api": b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n"
_POST = {
    "s3": b"POST /fz-none?delete HTTP/1.1\r\nhost: h\r\n",
    "api": b"POST /identity/v3/auth/tokens HTTP/1.1\r\nhost: h\r\n",
}
_CHUNKED = b"transfer-encoding: chunked\r\n"
_TE = (
    b"transfer-encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"transfer-encoding:\tchunked\r\n",
    b"transfer-encoding: xchunked\r\n", b"transfer-encoding: chunked, identity\r\n", b"transfer-encoding: identity\r\n",
    b"transfer-encoding: identity, chunked\r\n", b"transfer-encoding: gzip, chunked\r\n",
    b"transfer-encoding: \x0bchunked\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: x\r\n", b"transfer-encoding:\r\n chunked\r\n",
    b"transfer_encoding: chunked\r\n",
    b"X: y\ntransfer-encoding: chunked\r\n", b"X: y\rtransfer-encoding: chunked\r\n",
    b"transfer-encoding\r\n: chunked\r\n",
    b" transfer-encoding: chunked\r\n", b"transfer-encoding: \"chunked\"\r\n", b"transfer-encoding: CHUNKED\r\n",
    b"transfer-encoding: chunked\xa0\r\n", b"\0transfer-encoding: chunked\r\n", b"transfer-encoding: chunked;q=1\r\n",
)  # fmt: skip
_CL = (
    b"content-length: %d\r\n", b"content-length: +%d\r\n", b"content-length: -%d\r\n", b"content-length: %d, %d\r\n",
    b"content-length: %d\r\ncontent-length: %d\r\n", b"content-length: 0x%x\r\n", b"content-length: %d \r\n",
    b"content-length:%d\r\n",
    b"content-length: 0%d\r\n", b"content-length: %d.0\r\n", b"content-length : %d\r\n", b"content_length: %d\r\n",
    b"content-length: \xd9\xa3\r\n", b"content-length: %d\r\ncontent-length: 0\r\n",
    b"content-length: 99999999999999999999\r\n",
    b"content-length:\r\n", b"content-length: %d\n", b"content-length: 1e1\r\n", b"content-length: %d;\r\n",
)  # fmt: skip
_SIZES = (
    b"4", b"04", b"0x4", b"+4", b"-4", b"4;x=y", b"4 ;x", b"4;" + b"e" * 2000, b"4;\"\r\n\"", b"ffffffffffffffff",
    b"7fffffffffffffff",
    b"10000000000000000", b"fffffffffffffffff", b"", b" 4", b"4 ", b"4\t", b"g", b"4\n", b"4;\nx",
    b"8000000000000000", b"4\x00",
)  # fmt: skip
_ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"\r\r\n", b"\n\r\n", b"xx")


@dataclass(slots=True)
class Case:
    """Pieces that are sent one after the other. `then`: `wait`, `half` (no more will come) or `leave`."""

    door: str
    pieces: list[bytes]
    then: str = "half"

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    def document(self) -> dict[str, object]:
        return {"door": self.door, "then": self.then, "pieces": [piece.decode("latin-1") for piece in self.pieces]}


def _length(chance: Chance, size: int) -> bytes:
    form: bytes = chance.one(_CL)
    count = form.count(b"%d") + form.count(b"%x")
    return form % ((size,) * count) if count else form


def _clte(chance: Chance, door: str) -> bytes:
    """Two framings in one head; a request hides where one of them ends."""
    body = b"0\r\n\r\n" + SMUGGLED
    heads = [_length(chance, chance.one((len(body), 5, 4, 0))), chance.one(_TE)]
    chance.dice.shuffle(heads)
    return bytes(_POST[door]) + b"".join(heads) + b"\r\n" + body


def _coding(chance: Chance, door: str) -> bytes:
    """One odd Transfer-Encoding or Content-Length."""
    if chance.maybe(0.5):
        return bytes(_POST[door]) + chance.one(_TE) + b"\r\n0\r\n\r\n" + SMUGGLED
    return bytes(_POST[door]) + _length(chance, len(SMUGGLED)) + b"\r\n" + SMUGGLED


def _chunks(chance: Chance, door: str) -> bytes:
    """A chunked body with something odd in it."""
    body = b""
    for _ in range(chance.one((1, 2, 3))):
        size = chance.one(_SIZES) if chance.maybe(0.6) else b"4"
        body += size + chance.one(_ENDS) + b"abcd" + chance.one(_ENDS)
    trailers = chance.one(
        (b"", b"", b"a: b\r\n", b"host: evil\r\n", b"content-length: 5\r\n", b"bad\r\n", b" x: y\r\n", b"a: b\n")
    )
    return (
        bytes(_POST[door])
        + _CHUNKED
        + b"\r\n"
        + body
        + chance.one((b"0", b"0", b"00000", b"0;x", b"-0"))
        + b"\r\n"
        + trailers
        + b"\r\n"
    )


def _head(chance: Chance, door: str) -> bytes:
    """An odd request line or header."""
    line = chance.one((
        b"GET /healthz HTTP/1.1", b"GET /healthz HTTP/1.0", b"GET  /healthz HTTP/1.1", b"GET /healthz",
        b"GET /healthz HTTP/2.0",
        b"GET /healthz HTTP/1.1 ", b" GET /healthz HTTP/1.1", b"GET\t/healthz HTTP/1.1", b"get /healthz HTTP/1.1",
        b"GET http://h/ HTTP/1.1",
        b"GET //h/healthz HTTP/1.1", b"GET healthz HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT h:1 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET /a b HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET /\x00 HTTP/1.1", b"G" * 40 + b" / HTTP/1.1",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1",
        b"GET / HTTP/1.1\x00", b"G\xc3\x89T / HTTP/1.1", b"GET /%00%ff%2e%2e/ HTTP/1.1", b"GET /#x HTTP/1.1",
        b"GET / HTTP/01.1", b"",
    ))  # fmt: skip
    field = chance.one((
        b"host: h", b"host: h\r\nhost: h", b"", b"Host : h", b"host: h\r\n x", b"host: h\r\nx", b"host: h\r\n: y",
        b"host: h\r\nx\x01: y",
        b"host: h\r\nx: \x01", b"host: h\nx: y", b"host: h\rx: y", b"host: h\r\nx: " + b"y" * 9000,
        b"host: h\r\n" + b"x: y\r\n" * 250 + b"x: y",
        b"host: h@evil:1/..", b"host: \xff", b"host:", b"host: h\r\nconnection: close",
        b"host: h\r\nconnection: x, Close ,y",
        b"host: h\r\nexpect: 100-continue", b"host: h\r\nupgrade: h2c\r\nconnection: upgrade", b"host: h\r\nx\t: y",
        b"host: h\r\nx: y\x00",
        b"host: h\r\n\xc3\xa9: y", b"host: h\r\nx" + b"z" * 70_000 + b": y", b"host: h\r\nauthorization: \xff\xfe",
        b"host: h\r\n(x): y",
    ))  # fmt: skip
    return (
        line
        + chance.one((b"\r\n", b"\r\n", b"\r\n", b"\n"))
        + field
        + chance.one((b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n\n"))
    )


def _noise(chance: Chance, door: str) -> bytes:
    """No HTTP at all."""
    size = chance.one((1, 3, 40, 700, 20_000))
    start = chance.one(
        (
            b"",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\r\n" * 9,
            b"GET ",
            b"\x80\x2e\x01",
            b"\x00",
            b"SSH-2.0-x\r\n",
            b"*1\r\n$4\r\nPING\r\n",
        )
    )
    return bytes(start) + chance.dice.randbytes(size)


_FORMS = (_clte, _clte, _coding, _coding, _chunks, _chunks, _head, _head, _noise)


def case(chance: Chance, doors: tuple[str, ...] = ("s3", "s3", "api")) -> Case:
    """One connection's worth of bytes."""
    door = chance.one(doors)
    front = GOOD[door] * chance.one((0, 0, 1, 2))
    data = front + chance.one(_FORMS)(chance, door)
    data += GOOD[door] * chance.one((0, 1, 2)) + SMUGGLED * chance.one((0, 0, 1))
    roll = chance.dice.random()
    if roll < 0.12:
        data = data[: chance.dice.randrange(1, len(data) + 1)]
    elif roll < 0.2:
        spot = chance.dice.randrange(len(data))
        data = data[:spot] + chance.dice.randbytes(chance.one((1, 1, 2, 9))) + data[spot + chance.one((0, 1)) :]
    pieces = [data]
    if chance.maybe(0.25) and len(data) > 2:
        cuts = sorted({0, len(data), *(chance.dice.randrange(1, len(data)) for _ in range(chance.one((1, 2, 5))))})
        pieces = [data[start:end] for start, end in itertools.pairwise(cuts)]
    return Case(door, pieces, "half" if chance.maybe(0.93) else "leave")


@dataclass(slots=True)
class Outcome:
    """What a case came to."""

    replies: list[Reply]
    wrong: str = ""


def play(case: Case, wire: Wire) -> Outcome:
    """Send a case and read until the end."""
    for piece in case.pieces:
        if not wire.send(piece):
            break
    if case.then == "leave":
        return Outcome([])
    wire.half_close()
    expected = fuzz_strict.read(case.data, forgiving=case.door == "api")
    replies: list[Reply] = []
    try:
        while True:
            at = len(replies)
            method = expected.methods[at] if at < len(expected.methods) else "GET"
            reply = wire.read(method)
            if reply is None:
                break
            replies.append(reply)
    except Late as late:
        return Outcome(replies, f"neither answered nor closed: {late}")
    except Cut:
        pass
    except Malformed as bad:
        return Outcome(replies, f"malformed answer: {bad}")
    return Outcome(replies, verdict(expected, replies))


def play_in_the_clear(case: Case, wire: Wire) -> Outcome:
    """Send a case to a port that speaks TLS: it says nothing that HTTP would, and ends the connection."""
    for piece in case.pieces:
        if not wire.send(piece):
            break
    wire.half_close()
    try:
        reply = wire.read("GET")
    except Late as late:
        return Outcome([], f"a port of TLS does not end a connection in the clear: {late}")
    except Malformed:  # an alert of TLS
        return Outcome([])
    return Outcome([], "a port of TLS answered in the clear" if reply is not None else "")


def verdict(expected: fuzz_strict.Stream, replies: list[Reply]) -> str:
    """What is wrong with the answers, or nothing."""
    count = len(expected.methods)
    shown = [reply.status for reply in replies]
    for reply in replies:
        if reply.status >= 500 and reply.status not in (501, 503, 505, 507):
            return f"status {reply.status}"
        if not reply.numbered and not (reply.status == 200 and reply.body.startswith(b"ok")):
            return f"no request id in {reply.status}"
    if len(replies) > count + 1 or (len(replies) > count and not expected.fault and not expected.partial):
        return f"{len(replies)} answers {shown} for {count} requests"
    if len(replies) > count and replies[count].status < 400:
        return f"a request that nobody should read was answered: {shown}, {expected.fault or 'it was cut'}"
    refused = next((at for at, reply in enumerate(replies) if reply.closes and reply.status >= 400), None)
    if len(replies) < count and refused is None and not any(reply.closes for reply in replies):
        return f"{len(replies)} answers {shown} for {count} requests, and no refusal"
    return ""


def text(case: Case) -> str:
    return json.dumps(case.document())
