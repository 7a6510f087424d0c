"""The clients of the bench: what they count as an answer, and what they send."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.clients import large, requests
from bench.clients.replay import Wire, replay
from bench.clients.requests import PIECE, crc64, deletions, read, requests_of, write
from bench.figures import Case


class Store:
    """A peer that is never started."""

    name, dialect, durability, version = "store", "s3", "", ""
    address, prefix, unhashed, login = "127.0.0.1:1", "/bench", "/bench-opaque", None

    def start(self, scratch: Path) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> set[int]:
        return set()

    def headers(self, method: str, target: str, more: Mapping[str, str] = {}) -> Mapping[str, str]:
        return {"host": self.address, **more}


def test_a_file_of_requests_gives_them_back(tmp_path: Path) -> None:
    sent = [b"GET / HTTP/1.1\r\n\r\n", b"\n7\n\0", PIECE[:5000]]
    assert read(write(tmp_path / "file", sent)) == sent


def test_small_requests_are_spread_over_many_objects_and_carry_their_bodies() -> None:
    puts = list(requests_of(Store(), Case("put", 4096, 64)))
    assert len({one.split(b" ", 2)[1] for one in puts}) == 1000
    assert all(one.endswith(PIECE[:4096]) and b"content-length: 4096\r\n" in one for one in puts)
    assert len(set(requests_of(Store(), Case("get", 4096, 64)))) == 1000


def test_large_requests_are_heads_alone() -> None:
    puts = list(requests_of(Store(), Case("put", 64 << 20, 4)))
    assert len(puts) >= 8 and all(one.endswith(b"\r\n\r\n") for one in puts)


def test_a_put_with_a_checksum_names_it_and_goes_where_no_md5_is_wanted() -> None:
    (first, *_) = requests_of(Store(), Case("crc", 4096, 1))
    assert first.startswith(b"PUT /bench-opaque/crc-4096-00000 ")
    assert f"x-amz-checksum-crc64nvme: {crc64(4096)}\r\n".encode() in first


def test_the_checksum_is_that_of_the_repeated_piece() -> None:
    from awscrt import checksums

    size = 3 * len(PIECE) // 2
    whole = checksums.crc64nvme(PIECE + PIECE[: size - len(PIECE)], 0)
    assert base64.b64decode(crc64(size)) == whole.to_bytes(8, "big")


def test_the_mixed_load_has_its_shares() -> None:
    methods = [one.split(b" ", 1)[0] for one in requests_of(Store(), Case("mixed", 4096, 16))]
    shares = {name: methods.count(name) / len(methods) for name in set(methods)}
    assert shares == pytest.approx({b"GET": 0.45, b"HEAD": 0.30, b"PUT": 0.25}, abs=0.05)


def test_what_is_deleted_was_put() -> None:
    puts, deletes = deletions(Store(), 4096, 20)
    assert [one.split(b" ", 2)[1] for one in puts] == [one.split(b" ", 2)[1] for one in deletes]
    with pytest.raises(ValueError, match="no ready-made requests"):
        list(requests_of(Store(), Case("multipart", 64 << 20, 4)))
    assert "prefix=object-4096-" in requests.listing(Store(), 1000)


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("answer", "head", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", True, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204),
        (b"HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 0\r\n\r\n", False, 404),
    ],
)
def test_an_answer_is_complete_when_its_last_byte_has_come(answer: bytes, head: bool, status: int, step: int) -> None:
    here, there = socket.socketpair()
    with here, there:
        wire = Wire(here, head=head)
        pieces = [answer[at : at + step] for at in range(0, len(answer), step)]
        assert [wire.take(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert wire.status == status


@pytest.fixture
def server() -> Iterator[str]:
    """Answers 200 to GET and HEAD and 500 to DELETE; closes the connection after each third request."""

    def serve(wire: socket.socket) -> None:
        with wire:
            for turn in range(3):
                asked = b""
                while b"\r\n\r\n" not in asked:
                    piece = wire.recv(4096)
                    if not piece:
                        return
                    asked += piece
                status = b"500 No" if asked.startswith(b"DELETE") else b"200 OK"
                close = b"Connection: close\r\n" if turn == 2 else b""
                body = b"" if asked.startswith(b"HEAD") else b"abc"
                wire.sendall(b"HTTP/1.1 " + status + b"\r\n" + close + b"Content-Length: 3\r\n\r\n" + body)

    def accept() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(wire,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join()
    for thread in threads:
        thread.join()


def test_each_request_is_sent_once_over_connections_that_end_now_and_then(server: str) -> None:
    asked = [f"{method} / HTTP/1.1\r\n\r\n".encode() for method in ("GET", "HEAD", "DELETE", "GET", "HEAD")] * 4
    found = replay(server, asked, 3)
    assert (found["operations"], found["failures"], found["why"]) == (16, 4, ["status 500"])
    assert found["rate"] > 0 and found["p99"] >= found["p50"] > 0


def test_a_load_for_a_time_wraps_around(server: str) -> None:
    found = replay(server, [b"GET / HTTP/1.1\r\n\r\n"], 2, 0.2)
    assert found["operations"] > 2 and found["failures"] == 0


def test_threads_send_each_request_once_and_tell_megabytes(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [f"{method} / HTTP/1.1\r\n\r\n".encode() for method in ("GET", "GET", "DELETE", "GET", "GET")]
    large.main(str(write(tmp_path / "file", asked)), server, "GET", "3", "2", "0")
    found = json.loads(capsys.readouterr().out)
    assert (found["operations"], found["failures"], found["why"]) == (4, 1, ["500, 3 bytes"])
    assert 0 < found["rate"] < 12 / 1e6 / (found["p50"] / 1e3) and found["p99"] >= found["p50"] > 0
