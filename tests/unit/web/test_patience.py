"""Connections on a real socket: the whole stack under uvicorn, and clients that dawdle."""

from __future__ import annotations

import socket
import time

import httpx
import pytest

from andromede.web.patience import PatientProtocol


def test_ordinary_requests_reuse_a_connection(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.get("/healthz").text == "ok\n"
        time.sleep(1.3)
        assert client.get("/").json()["name"] == "andromede"
        assert client.post("/identity", content=b"x" * 2_000_000).status_code == 413


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_request_that_does_not_arrive_is_given_up(port: int, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(start)
        assert client.recv(100) == b""


def test_a_second_request_is_watched_like_the_first(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /hea")
        start = time.monotonic()
        while client.recv(1000):
            pass
        assert time.monotonic() - start < 10


def test_each_answer_is_the_last_once_there_is_a_successor(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(request)
        assert b"connection: close" not in client.recv(4096).lower()
        monkeypatch.setattr(PatientProtocol, "retiring", True)
        client.sendall(request)
        answer = client.recv(4096)
        while part := client.recv(4096):
            answer += part
        assert b"connection: close" in answer.lower()
