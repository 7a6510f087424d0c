"""A listening socket with a thread for each connection."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from andromede.compute import accepting
from andromede.compute.accepting import Accepting


class Echo(Accepting):
    """Says what it heard, once it may."""

    def __init__(self, listener: socket.socket, turn_away: bool) -> None:
        super().__init__(listener, "echo", 1, turn_away)
        self.may = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        heard = connection.recv(10)
        assert self.may.wait(5)
        connection.sendall(heard)


def _say(port: int, word: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    connection.sendall(word)
    return connection


@pytest.mark.parametrize("turn_away", [True, False])
def test_who_comes_when_all_places_are_taken_waits_or_is_turned_away(turn_away: bool) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    echo = Echo(listener, turn_away)
    thread = echo.start()
    with _say(port, b"one") as one, _say(port, b"two") as two:
        if turn_away:
            with pytest.raises(ConnectionError):
                assert two.recv(10) == b""
                raise ConnectionResetError("closed")
        echo.may.set()
        assert one.recv(10) == b"one"
        if not turn_away:
            assert two.recv(10) == b"two"
    echo.close()
    thread.join(5)
    assert not thread.is_alive()


class _Failing(socket.socket):
    """A listener whose first accept finds no descriptor left."""

    failed = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.failed:
            self.failed = True
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_an_accept_that_fails_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "AGAIN_SECONDS", 0.01)
    listener = _Failing(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4)
    echo = Echo(listener, False)
    echo.may.set()
    thread = echo.start()
    with _say(int(listener.getsockname()[1]), b"word") as client:
        assert client.recv(10) == b"word"
    assert listener.failed
    echo.close()
    thread.join(5)
    assert not thread.is_alive()
