"""QEMU's monitor: connect, look, act, disconnect. One client at a time and never for long; events are passed over,
because nothing may depend on having seen one (QEMU Machine Protocol, qmp-spec)."""

from __future__ import annotations

import array
import json
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from andromede.errors import Error, Unavailable

SECONDS = 10.0
_MOST_LINE = 8 << 20
_GREETING = 5.0


class Refused(Error):
    """QEMU answered a command with an error. `reason`: its class (`GenericError`, `DeviceNotFound`)."""

    kind = "refused"


class Monitor:
    """One connection. `uid`: whose process must be at the other end, so that a guest that has taken its QEMU over
    cannot lead us to another's monitor."""

    def __init__(self, path: Path, uid: int, seconds: float = SECONDS) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = b""
        self._path = path
        try:
            self._socket.settimeout(_GREETING)
            self._socket.connect(str(path))
            peer = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if peer[1] & 0xFFFFFFFF != uid:
                raise Unavailable("the monitor of the guest belongs to somebody else", "monitor", cause=str(path))
            self._line()
            self._socket.settimeout(seconds)
            self.run("qmp_capabilities")
        except (OSError, ValueError) as error:
            self._socket.close()
            raise Unavailable("the hypervisor process does not answer", "monitor", cause=repr(error)) from error
        except Error:
            self._socket.close()
            raise

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def run(self, command: str, arguments: Mapping[str, Any] | None = None, fd: int | None = None) -> Any:
        """The answer of one command; `fd` is sent along. Raises `Refused`, or `Unavailable` when the process does not
        answer."""
        text = json.dumps({"execute": command, "arguments": dict(arguments or {})}).encode() + b"\n"
        try:
            if fd is None:
                self._socket.sendall(text)
            else:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
                sent = self._socket.sendmsg([text], rights)
                self._socket.sendall(text[sent:])
            while True:
                answer = self._line()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    error = answer["error"]
                    raise Refused(f"QEMU refused {command}: {error['desc']}", error["class"])
        except (OSError, ValueError) as error:
            raise Unavailable(
                "the hypervisor process does not answer", "monitor", cause=f"{command}: {error!r}"
            ) from error

    def patient(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """The same, where a copy of a disk that is under way may be in the way: `Unavailable` until it has ended."""
        try:
            return self.run(command, arguments)
        except Refused as error:
            if "in use" in error.public or "busy" in error.public:
                text = "the disk is being copied; this is done after that"
                raise Unavailable(text, "copy", cause=error.public) from error
            raise

    def _line(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionResetError("the monitor closed")
            self._buffer += piece
            if len(self._buffer) > _MOST_LINE:
                raise ValueError("an answer is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("an answer is no object")
        return answer

    def status(self) -> str:
        """`query-status`."""
        return str(self.run("query-status")["status"])

    def devices(self) -> frozenset[str]:
        """Names of the devices that were given one."""
        return frozenset(str(item["name"]) for item in self.run("qom-list", {"path": "/machine/peripheral"})) - {"type"}

    def nodes(self) -> frozenset[str]:
        """Names of block nodes."""
        return frozenset(str(item["node-name"]) for item in self.run("query-named-block-nodes", {"flat": True}))
