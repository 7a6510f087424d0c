"""The edge over real sockets: framing, order, keep-alive, closing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.errors import Conflict, Denied
from andromede.web.stream import Chunk, Commit, Limits, Request, Response
from tests.support.certs import contexts
from tests.support.edge import Running, read_all, serving

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def echo(request: Request) -> Response | Commit[Any]:
    """Answers with the size and MD5 of the body; `/commit` through the group commit, `/raise` not at all."""
    if request.path == b"/raise":
        raise RuntimeError("nobody foresaw this")
    if request.path == b"/denied":
        raise Denied("you may not write bucket b; ask its owner for a grant")
    if request.path == b"/refused":

        def refuse(tx: object) -> int:
            raise Denied("refused at commit")

        return Commit(refuse, lambda value: Response(200))
    digest, total, piece = hashlib.md5(usedforsecurity=False), 0, memoryview(bytearray(100_000))
    while count := request.body.readinto(piece):
        digest.update(piece[:count])
        total += count
    answer = f"{request.method} {request.path.decode()} {total} {digest.hexdigest()}\n".encode()
    if request.path == b"/commit":
        return Commit(lambda tx: answer, lambda value: Response(200, [("ETag", '"e"')], value))
    return Response(200, [("X-Request", request.request_id)], answer)


def line(method: str, path: str, body: bytes) -> bytes:
    return f"{method} {path} {len(body)} {hashlib.md5(body, usedforsecurity=False).hexdigest()}\n".encode()


@pytest.fixture(params=["inline", "threads", "tls", "tls-threads", "asyncio"], scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    way = str(request.param)
    tls = contexts(tmp_path_factory.mktemp("tls")) if way.startswith("tls") else None
    factory = asyncio.new_event_loop if way == "asyncio" else None
    with serving(echo, inline=not way.endswith("threads"), tls=tls, loop_factory=factory) as served:
        yield served


def test_a_small_request(running: Running) -> None:
    answer = running.ask(b"PUT /k HTTP/1.1\r\nContent-Length: 5\r\n" + CLOSE + b"hello")
    head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nX-Request: req-" in head and b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"server" not in head.lower()
    assert body == line("PUT", "/k", b"hello")


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("path", ["/k", "/commit"])
def test_bodies_of_any_size(running: Running, size: int, path: str) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    answer = running.ask(f"PUT {path} HTTP/1.1\r\nContent-Length: {size}\r\n".encode() + CLOSE, body)
    assert answer.endswith(b"\r\n\r\n" + line("PUT", path, body))


@pytest.mark.parametrize("step", [1, 7, 5000])
def test_a_chunked_body(running: Running, step: int) -> None:
    body = b"0123456789" * 900
    coded = b"".join(
        b"%X;ext=1\r\n%b\r\n" % (len(body[at : at + step]), body[at : at + step]) for at in range(0, len(body), step)
    )
    tail = b"0\r\nTrailer: x\r\n\r\n" + b"GET /next HTTP/1.1\r\n" + CLOSE
    answer = running.ask(b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + tail)
    assert line("PUT", "/c", body) in answer
    assert answer.endswith(line("GET", "/next", b""))


@pytest.mark.parametrize(
    "coded",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"x\r\n\r\n",
        b"-1\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"e" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"T: y\r\n" * 3000 + b"\r\n",
    ],
)
def test_broken_chunked_bodies_are_refused_and_close(running: Running, coded: bytes) -> None:
    with running.connect() as client:
        client.sendall(b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"\r\nDate: ") == 1 and b"Connection: close" in answer


def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    paths = ["/commit" if n % 3 == 1 else f"/{n}" for n in range(50)]
    wire = b"".join(
        f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n".encode() + b"x" * n
        for n, path in enumerate(paths)
    )
    answer = running.ask(wire + b"GET /end HTTP/1.1\r\n" + CLOSE)
    bodies = [rest.split(b"\r\n\r\n", 1)[1] for rest in answer.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [line("PUT", path, b"x" * n) for n, path in enumerate(paths)] + [line("GET", "/end", b"")]


def test_a_request_half_received_behind_another_is_received_on(running: Running) -> None:
    for cut in (20, 55, 70, 71, 72):
        with running.connect() as client:
            wire = b"PUT /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 9\r\n\r\n123456789"
            client.sendall(b"PUT /commit HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" + wire[:cut])
            answer = client.recv(1000)
            client.sendall(wire[cut:])
            answer += read_all(client)
        assert line("PUT", "/commit", b"x") in answer and answer.endswith(line("PUT", "/2", b"123456789"))


def test_smuggled_requests_are_never_answered(running: Running) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\n" + CLOSE
    for shape in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n",
    ):
        answer = running.ask(b"PUT / HTTP/1.1\r\nHost: a\r\n" + shape + b"\r\n0\r\n\r\n" + hidden)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"\r\nDate: ") == 1


def test_errors_are_rendered_by_the_dialect(running: Running) -> None:
    assert running.ask(b"PUT /denied HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 403 ")
    assert b"refused at commit" in running.ask(b"PUT /refused HTTP/1.1\r\n" + CLOSE)
    assert running.ask(b"PUT /raise HTTP/1.1\r\n" + CLOSE).endswith(b"unforeseen\n")
    assert "nobody foresaw this" in running.log.getvalue()
    running.log.truncate(0)


def test_head_has_a_length_and_no_body(running: Running) -> None:
    answer = running.ask(b"HEAD /k HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n" + CLOSE)
    first, second = answer.split(b"HTTP/1.1 200 OK")[1:]
    assert b"Content-Length: %d\r\n" % len(line("HEAD", "/k", b"")) in first
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(line("GET", "/2", b""))


def test_http_1_0_is_served_and_closed(running: Running) -> None:
    answer = running.ask(b"GET /old HTTP/1.0\r\n\r\n")
    assert b"Connection: close" in answer and answer.endswith(line("GET", "/old", b""))


def test_a_client_that_half_closes_still_gets_its_answer(running: Running) -> None:
    if running.client_tls:
        pytest.skip("TLS has no half-closed connections here")
    with running.connect() as client:
        client.sendall(b"PUT /commit HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(line("PUT", "/commit", b"hi"))


def test_an_early_end_of_a_body_is_an_error_for_the_handler(running: Running) -> None:
    if running.client_tls:
        pytest.skip("TLS has no half-closed connections here")
    with running.connect() as client:
        client.sendall(b"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhi")
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"short body" in answer


def test_continue_is_sent_at_the_first_read_only(running: Running) -> None:
    wire = b"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with running.connect() as client:
        client.sendall(wire)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"helloGET /n HTTP/1.1\r\n" + CLOSE)
        answer = read_all(client)
    assert line("PUT", "/k", b"hello") in answer and answer.endswith(line("GET", "/n", b""))
    with running.connect() as client:
        client.sendall(wire.replace(b"/k", b"/denied"))
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 403 ") and b"Connection: close" in answer


def test_an_empty_body_is_continued_too(running: Running) -> None:
    wire = b"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\nGET /n HTTP/1.1\r\n" + CLOSE
    answer = running.ask(wire)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert line("PUT", "/k", b"") in answer and answer.endswith(line("GET", "/n", b""))


def test_an_unread_body_is_drained_or_the_connection_closes(running: Running) -> None:
    small = b"PUT /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(500_000)
    answer = running.ask(small + b"GET /n HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 403 ") and answer.endswith(line("GET", "/n", b""))
    large = b"PUT /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + bytes(100_000)
    answer = running.ask(large)
    assert answer.startswith(b"HTTP/1.1 403 ") and b"Connection: close" in answer


def test_oversize_heads() -> None:
    with serving(echo, limits=Limits(head_bytes=1000, tick_seconds=0.05)) as served:
        exact = b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\nX: "
        exact += b"y" * (1000 - len(exact))
        assert served.ask(exact + b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert served.ask(exact + b"y\r\n\r\n").startswith(b"HTTP/1.1 431 ")
        assert served.ask(exact, b"y" * 5000).startswith(b"HTTP/1.1 431 ")


def test_completions_of_a_group_commit_reach_their_requests() -> None:
    gate = threading.Event()

    def handle(request: Request) -> Commit[bytes]:
        return Commit(lambda tx: (gate.wait(5), request.path)[1], lambda path: Response(200, [], path))

    with serving(handle, inline=True) as served:
        clients = [served.connect() for _ in range(40)]
        for number, client in enumerate(clients):
            client.sendall(b"PUT /%d HTTP/1.1\r\n" % number + CLOSE)
        gate.set()
        for number, client in enumerate(clients):
            with client:
                assert read_all(client).endswith(b"\r\n\r\n/%d" % number)
        assert sum(served.committer.batches) == 40
        assert served.edge.counters.in_flight == 0


def streamed(request: Request) -> Response:
    """`/N` streams N bytes with a length, `/chunked` without, `/short`, `/long` and `/broken` misbehave."""
    what = request.path[1:].decode()
    reused = memoryview(bytearray(65_536))

    def chunks(total: int, broken: bool = False) -> Iterator[Chunk]:
        done = 0
        while done < total:
            count = min(65_536, total - done)
            reused[:count] = bytes([done // 65_536 % 256]) * count
            done += count
            yield reused[:count]
        if broken:
            raise RuntimeError("the disk died")

    if what == "chunked":
        return Response(200, [], chunks(1_000_000))
    if what == "early":
        return Response(200, [], chunks(0, broken=True), 100)
    if what in ("short", "long", "broken"):
        return Response(200, [], chunks(300_000, what == "broken"), 200_000 if what == "long" else 400_000)
    return Response(200, [], chunks(int(what)), int(what))


def pattern(total: int) -> bytes:
    return b"".join(bytes([n % 256]) * 65_536 for n in range(total // 65_536 + 1))[:total]


@pytest.fixture(params=["tcp", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return contexts(tmp_path) if request.param == "tls" else None


@pytest.mark.parametrize("inline", [True, False])
def test_streamed_answers(inline: bool, tls: Any) -> None:
    with serving(streamed, inline=inline, tls=tls) as served:
        answer = served.ask(b"GET /5000000 HTTP/1.1\r\nHost: a\r\n\r\nGET /70000 HTTP/1.1\r\n" + CLOSE)
        first, rest = answer.split(b"\r\n\r\n", 1)
        assert b"Content-Length: 5000000" in first
        assert rest[:5_000_000] == pattern(5_000_000)
        assert rest[5_000_000:].endswith(b"\r\n\r\n" + pattern(70_000))
        assert served.ask(b"HEAD /77 HTTP/1.1\r\n" + CLOSE).count(b"Content-Length: 77\r\n") == 1


def test_a_chunked_answer(tls: Any) -> None:
    with serving(streamed, tls=tls) as served:
        head, rest = served.ask(b"GET /chunked HTTP/1.1\r\n" + CLOSE).split(b"\r\n\r\n", 1)
        assert b"Transfer-Encoding: chunked" in head and b"Content-Length" not in head
        out = b""
        while (size := int((parts := rest.split(b"\r\n", 1))[0], 16)) > 0:
            out, rest = out + parts[1][:size], parts[1][size + 2 :]
        assert out == pattern(1_000_000) and parts[1] == b"\r\n"
        head, rest = served.ask(b"GET /chunked HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)
        assert b"Transfer-Encoding" not in head and rest == pattern(1_000_000)


@pytest.mark.parametrize("what", [b"short", b"long", b"broken"])
def test_an_answer_that_fails_on_the_way_never_ends_cleanly(what: bytes, tls: Any) -> None:
    with serving(streamed, tls=tls) as served, served.connect() as client:
        client.sendall(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % what)
        got = b""
        with contextlib.suppress(OSError):
            got = read_all(client)
        assert len(got) < 400_000 or what == b"long"
        assert not got.endswith(b"0\r\n\r\n")
        assert served.ask(b"GET /1 HTTP/1.1\r\n" + CLOSE).endswith(b"\0")
    assert served.access[0].aborted and "request failed" in served.log.getvalue()


def test_an_answer_that_the_tenant_made_break_off_is_no_alert(tls: Any) -> None:
    def broken(request: Request) -> Response:
        def chunks() -> Iterator[Chunk]:
            yield bytes(1000)
            raise Conflict("segment box/2 of this object cannot be read", "segment", cause="it is gone")

        return Response(200, [], chunks(), length=2000)

    with serving(broken, tls=tls) as served, served.connect() as client:
        client.sendall(b"GET /manifest HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        with contextlib.suppress(OSError):
            got = read_all(client)
        assert len(got) < 2000
    line = next(line for line in served.log.getvalue().splitlines() if "answer.cut" in line)
    told = json.loads(line)
    assert told["level"] == "warning" and "alert" not in told and told["request_id"].startswith("req-")
    assert "segment box/2" in told["text"] and told["cause"] == "it is gone"
    assert "request failed" not in served.log.getvalue()


def test_a_failure_before_the_first_chunk_is_still_an_error(tls: Any) -> None:
    with serving(streamed, tls=tls) as served:
        assert served.ask(b"GET /early HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 500 ")
