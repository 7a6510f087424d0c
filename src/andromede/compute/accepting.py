"""A listening socket with a thread for each connection, for what the host role itself serves: looks and consoles."""

from __future__ import annotations

import contextlib
import socket
import threading

AGAIN_SECONDS = 0.2
"""After an accept that failed, for want of descriptors for example."""


class Accepting:
    """Serves connections from threads that end with the process: `at_once` beside each other. More of them wait, or
    with `turn_away` are closed at once."""

    def __init__(self, listener: socket.socket, name: str, at_once: int, turn_away: bool = False) -> None:
        self._listener = listener
        self._name = name
        self._turn_away = turn_away
        self._slots = threading.BoundedSemaphore(at_once)
        self._ended = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection, which is closed afterwards."""
        raise NotImplementedError

    def start(self) -> threading.Thread:
        """Begin to serve; `close` ends it."""
        thread = threading.Thread(target=self._accept, name=self._name, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Serve nobody new."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                self._ended.wait(AGAIN_SECONDS)
                continue
            if not self._slots.acquire(blocking=not self._turn_away):
                connection.close()
                continue
            threading.Thread(target=self._one, args=(connection,), name=f"{self._name}-one", daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            with connection:
                self.serve(connection)
        finally:
            self._slots.release()
