"""Telling the workers of this machine that a row wants work: a datagram is a wake, and a lost one costs a second."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_NAME = "wake"


class _Folder:
    """An open folder, through which a socket below a long path has a short one (107 bytes at most, unix(7))."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._fd}/{_NAME}"

    def __exit__(self, *failure: object) -> None:
        os.close(self._fd)


class Waker:
    """The sending side; made after the fork. Never waits and never raises."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def __call__(self) -> None:
        with contextlib.suppress(OSError), _Folder(self._folder) as path:
            self._socket.sendto(b"!", path)

    def close(self) -> None:
        """Wakes nobody any more."""
        self._socket.close()


def listen(folder: Path, wake: Callable[[], None]) -> threading.Thread:
    """Call `wake` for every datagram, from a thread that ends with the process."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(folder / _NAME)
    with _Folder(folder) as path:
        receiver.bind(path)
    os.chmod(folder / _NAME, 0o600)

    def receive() -> None:
        while True:
            receiver.recv(16)
            wake()

    thread = threading.Thread(target=receive, name="wake", daemon=True)
    thread.start()
    return thread
