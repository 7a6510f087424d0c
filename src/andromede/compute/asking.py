"""How the API process looks at guests: it asks the host role across a socket in the run folder, one question for each
connection, one line of JSON each way. Only looking: whatever changes something goes through rows (decision 0019)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from andromede.compute.accepting import Accepting
from andromede.compute.engine import Figures, Views
from andromede.errors import Conflict, Error, NotFound, Unavailable

NAME = "views"
SECONDS = 20.0
MOST_QUESTION = 4096
MOST_ANSWER = 64 << 20
AT_ONCE = 16
"""Questions that are answered beside each other; more wait."""


@contextlib.contextmanager
def _short(folder: Path) -> Any:
    """A short path of the socket, whatever the folder's (107 bytes at most, unix(7))."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


def _line(connection: socket.socket, most: int) -> bytes:
    found = bytearray()
    while not found.endswith(b"\n"):
        piece = connection.recv(1 << 16)
        if not piece or len(found) > most:
            break
        found += piece
    return bytes(found)


class RemoteViews:
    """`andromede.compute.engine.Views` for the API process. Raises `Unavailable` while the host role is away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _ask(self, what: str, guest_id: str, lines: int | None = None) -> Any:
        question = json.dumps({"what": what, "guest": guest_id, "lines": lines}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short(self._folder) as path:
                connection.settimeout(SECONDS)
                connection.connect(path)
                connection.sendall(question)
                answer = json.loads(_line(connection, MOST_ANSWER))
        except (OSError, ValueError) as error:
            raise Unavailable("the host of the server does not answer; try again", "host", cause=repr(error)) from error
        if "found" in answer:
            return answer["found"]
        kind = {"conflict": Conflict, "not_found": NotFound}.get(answer.get("kind"), Unavailable)
        raise kind(str(answer.get("public")), str(answer.get("reason")))

    def console(self, guest_id: str, lines: int | None) -> str:
        """The end of the serial console's log."""
        return str(self._ask("console", guest_id, lines))

    def screenshot(self, guest_id: str) -> bytes:
        """The display as PNG."""
        return base64.b64decode(self._ask("screenshot", guest_id))

    def figures(self, guest_id: str) -> Figures:
        """Counters."""
        found = self._ask("figures", guest_id)
        return Figures(**found | {"cpu_ns": tuple(found["cpu_ns"])})


def answer(views: Views, question: dict[str, Any]) -> dict[str, Any]:
    """What one question is answered."""
    guest, lines = str(question.get("guest")), question.get("lines")
    try:
        if question.get("what") == "console":
            return {"found": views.console(guest, lines if isinstance(lines, int) else None)}
        if question.get("what") == "screenshot":
            return {"found": base64.b64encode(views.screenshot(guest)).decode()}
        if question.get("what") == "figures":
            return {"found": asdict(views.figures(guest))}
    except Error as error:
        return {"kind": error.kind, "public": error.public, "reason": error.reason}
    return {"kind": "invalid", "public": "that cannot be asked", "reason": "question"}


class Answering(Accepting):
    """Answers questions."""

    def __init__(self, folder: Path, views: Views) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        super().__init__(listener, "views", AT_ONCE)
        self._views = views
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / NAME)
        with _short(folder) as path:
            listener.bind(path)
        os.chmod(folder / NAME, 0o600)
        listener.listen(128)

    def serve(self, connection: socket.socket) -> None:
        """One question."""
        with contextlib.suppress(OSError, ValueError):
            connection.settimeout(SECONDS)
            question = json.loads(_line(connection, MOST_QUESTION))
            found = answer(self._views, question if isinstance(question, dict) else {})
            connection.sendall(json.dumps(found).encode() + b"\n")
