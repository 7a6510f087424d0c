"""The control socket of a running HAProxy (Management Guide, 9.3): one question a connection."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Mapping
from pathlib import Path

from andromede.balancer.engine import Carried
from andromede.errors import Unavailable

SECONDS = 5.0
MOST = 16 << 20


def ask(path: Path, command: str) -> str:
    """The answer to a command. Unavailable when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while (piece := connection.recv(65536)) and len(answer) < MOST:
                answer += piece
            return answer.decode(errors="replace")
    except OSError as error:
        raise Unavailable(f"the load balancer's process does not answer: {error}", "haproxy") from error


def carried(balancer_id: str, life: str, text: str) -> Carried:
    """The answer to `show stat`, read."""
    members: dict[str, bool] = {}
    traffic: dict[str, dict[str, int]] = {}
    for row in csv.DictReader(io.StringIO(text.removeprefix("# "))):
        if row["svname"] == "FRONTEND":
            traffic[row["pxname"]] = _counters(row)
        elif row["svname"] != "BACKEND" and row["check_status"]:
            up = row["status"].startswith(("UP", "DRAIN", "no check"))
            members[row["svname"]] = members.get(row["svname"], True) and up
    return Carried(balancer_id, life, members, traffic)


def _counters(row: Mapping[str, str]) -> dict[str, int]:
    def number(name: str) -> int:
        return int(row.get(name) or 0)

    return {
        "bytes_in": number("bin"),
        "bytes_out": number("bout"),
        "active_connections": number("scur"),
        "total_connections": number("stot"),
        "request_errors": number("ereq"),
    }
