"""Many clients at once, most of them badly behaved: afterwards nothing is held, open or in work."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from andromede.errors import Denied
from andromede.web.stream import Chunk, Commit, Limits, Request, Response
from tests.support.certs import contexts
from tests.support.duplex import Answer, Answers, Duplex
from tests.support.edge import Running, serving

CLIENTS, ROUNDS, SECONDS = 12, 12, 20.0


def handle(request: Request) -> Response | Commit[Any]:
    """`/in` digests, `/out/N` streams N bytes, `/commit` commits, `/deny` refuses unread, `/half` reads a part."""
    what, _, rest = request.path[1:].decode().partition("/")
    if what == "out":
        size = int(rest)
        return Response(200, [], chunks(size), size if size % 2 else None)
    if what == "deny":
        raise Denied("not yours")
    if what == "half":
        request.body.read(1000)
        return Response(200)
    digest, piece = hashlib.md5(usedforsecurity=False), memoryview(bytearray(50_000))
    while count := request.body.readinto(piece):
        digest.update(piece[:count])
    answer = digest.hexdigest().encode()
    if what == "commit":
        return Commit(lambda tx: answer, lambda value: Response(200, [], value))
    return Response(200, [], answer)


def chunks(size: int) -> Iterator[Chunk]:
    buffer = memoryview(bytearray(40_000))
    for at in range(0, size, 40_000):
        yield buffer[: min(40_000, size - at)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as bytes, and the answer that it calls for."""

    wire: bytes
    status: int
    body: bytes | None  # None: any
    expects: bool = False
    closes: bool = False  # the client says that it is the last one
    refusable: bool = False  # the edge may close after the answer, with the rest of the body on its way

    def fault_of(self, answer: Answer) -> str:
        """What is wrong with its answer, "" when nothing is."""
        if answer.status != self.status or (self.body is not None and answer.body != self.body):
            return f"{self.wire[:120]!r} was answered {answer.status} {answer.body[:60]!r} ({len(answer.body)} bytes)"
        if answer.welcomes > self.expects:
            return f"{self.wire[:120]!r} got {answer.welcomes} times 100 Continue"
        if answer.closes is not self.closes and not (answer.closes and self.refusable):
            return f"{self.wire[:120]!r}: the answer's close is {answer.closes}"
        return ""


def ask(rng: random.Random) -> Asked:
    if rng.random() < 0.3:
        size = rng.choice([0, 1, 1000, 70_001, 700_000, 2_000_001])
        return Asked(b"GET /out/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size, 200, bytes(size))
    path = rng.choice([b"/in", b"/commit", b"/deny", b"/half"])
    body = rng.randbytes(rng.choice([0, 1, 5000, 65_536, 65_537, 300_000, 1_500_000]))
    extra = rng.choice([b"", b"", b"Expect: 100-continue\r\n", b"Connection: close\r\n"])
    if rng.random() < 0.3:
        cuts = sorted(rng.randrange(len(body) + 1) for _ in range(5))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
        wire = b"PUT %b HTTP/1.1\r\nHost: a\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (path, extra, coded)
    else:
        wire = b"PUT %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, extra, len(body), body)
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest().encode()
    return Asked(
        wire,
        403 if path == b"/deny" else 200,
        digest if path in (b"/in", b"/commit") else None,
        expects=extra.startswith(b"Expect"),
        closes=extra.startswith(b"Connection"),
        refusable=path in (b"/deny", b"/half"),
    )


def misbehave(served: Running, rng: random.Random, wrong: list[str]) -> None:
    for _ in range(ROUNDS):
        asked = [ask(rng) for _ in range(rng.choice([1, 1, 2, 4]))]
        data = b"".join(one.wire for one in asked)
        manner = rng.choice(["well", "well", "vanish", "cut", "deaf"])
        try:
            client = Duplex(served, SECONDS)
        except OSError as error:
            wrong.append(f"no connection: {error!r}")
            continue
        with client:
            if manner == "well":
                client.send(data)
                read_well(client, asked, wrong)
                continue
            with contextlib.suppress(OSError):
                client.send(data if manner != "cut" else data[: rng.randrange(len(data))])
                if manner == "cut":
                    client.flush()
                elif manner == "vanish":
                    client.recv()
                else:
                    client.be_deaf(rng.random() * 0.2)


def read_well(client: Duplex, asked: list[Asked], wrong: list[str]) -> None:
    """Every answer must be whole and right, and none may follow one that closes.

    The edge closes on bytes still to come where it leaves a body unread, or where requests follow one that
    says close. The reset may overtake what is on its way then (RFC 9112 9.6): all but a short first answer,
    which lies in this side's receive buffer before the edge does anything else.
    """
    answers = Answers(client)
    unsafe = any(one.refusable for one in asked) or any(one.closes for one in asked[:-1])
    for number, one in enumerate(asked):
        try:
            answer = answers.next()
            rest = answers.rest() if answer.closes else b""
        except (OSError, EOFError) as error:
            short = number == 0 and not one.wire.startswith(b"GET")
            if short or not unsafe or isinstance(error, TimeoutError):
                heads = [(one.wire[:120], len(one.wire)) for one in asked]
                wrong.append(f"no whole answer to number {number} of {heads}: {error!r}")
            return
        if fault := one.fault_of(answer) or (f"{rest[:200]!r} after the last answer" if rest else ""):
            wrong.append(fault)
        if fault or answer.closes:
            return


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_nothing_is_left_behind(way: str, seed: int, tmp_path: Path) -> None:
    seconds = Limits(tick_seconds=0.05, stall_seconds=5.0, patience_seconds=0.05, linger_seconds=0.2)
    limits = replace(seconds, threads=8, upload_threads=5)
    wrong: list[str] = []
    tls = contexts(tmp_path) if way == "tls" else None
    with serving(handle, inline=seed == 1, limits=limits, tls=tls) as served:
        before = descriptors()
        rngs = [random.Random(seed * 1000 + number) for number in range(CLIENTS)]
        threads = [threading.Thread(target=misbehave, args=(served, rng, wrong)) for rng in rngs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        core, counters = served.edge._core, served.edge.counters
        assert core is not None

        def left() -> tuple[int, ...]:
            return counters.connections, counters.in_flight, core.held, core.unsent

        end = time.monotonic() + 10
        while time.monotonic() < end and (any(left()) or descriptors() > before):
            time.sleep(0.05)  # a descriptor is closed one turn of the loop after its connection is counted out
        assert wrong == []
        assert left() == (0, 0, 0, 0)
        assert descriptors() <= before
        unforeseen = [error for error in served.answerer.errors if not hasattr(error, "kind")]
        assert unforeseen == []
        assert "request failed" not in served.log.getvalue()
