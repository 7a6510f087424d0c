"""The server's side of a websocket over a blocking connection (RFC 6455): the handshake's answer, and frames."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MOST = 1 << 20
"""Bytes of a client's frame."""


class Broken(Exception):
    """The client breaks the protocol, or has gone."""


def accepted(headers: Mapping[str, str]) -> bytes | None:
    """The answer to an upgrade request (header names in small letters); None where it is none."""
    key = headers.get("sec-websocket-key", "")
    words = headers.get("connection", "").lower().replace(" ", "").split(",")
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in words or not key:
        return None
    if headers.get("sec-websocket-version") != "13":
        return None
    proof = base64.b64encode(hashlib.sha1(key.encode("ascii", "replace") + _GUID).digest()).decode()
    offered = [word.strip() for word in headers.get("sec-websocket-protocol", "").split(",")]
    chosen = "Sec-WebSocket-Protocol: binary\r\n" if "binary" in offered else ""
    head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{chosen}"
    return f"{head}Sec-WebSocket-Accept: {proof}\r\n\r\n".encode("ascii")


def frame(kind: int, data: bytes) -> bytes:
    """A whole message of the server."""
    if len(data) < 126:
        return struct.pack("!BB", 0x80 | kind, len(data)) + data
    if len(data) < 1 << 16:
        return struct.pack("!BBH", 0x80 | kind, 126, len(data)) + data
    return struct.pack("!BBQ", 0x80 | kind, 127, len(data)) + data


def take(held: bytearray) -> tuple[int, bytes] | None:
    """(kind, data) of the client's next frame, taken off what has come; None while it is not whole. A message in
    several frames comes in several, the later ones of kind 0. Raises `Broken`."""
    if len(held) < 2:
        return None
    kind, length, at = held[0] & 0x0F, held[1] & 0x7F, 2
    if held[0] & 0x70 or not held[1] & 0x80:
        raise Broken("a frame with reserved bits, or without a mask")
    if length > 125:
        size = 2 if length == 126 else 8
        if len(held) < at + size:
            return None
        length, at = int.from_bytes(held[at : at + size], "big"), at + size
    if length > MOST:
        raise Broken("a frame that is too long")
    end = at + 4 + length
    if len(held) < end:
        return None
    found = unmasked(bytes(held[at : at + 4]), bytes(held[at + 4 : end]))
    del held[:end]
    return kind, found


def unmasked(mask: bytes, data: bytes) -> bytes:
    """The data under the client's mask."""
    whole = int.from_bytes(data, "big")
    pad = (mask * (len(data) // 4 + 1))[: len(data)]
    return (whole ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")
