"""Injected randomness and identifiers. Only this module draws random bytes."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Protocol


class Ids(Protocol):
    """Source of identifiers and secrets."""

    def hex(self) -> str: ...
    def dashed(self) -> str: ...
    def secret(self, size: int) -> bytes: ...
    def uniform(self) -> float: ...


class RandomIds:
    """The operating system's random source."""

    def hex(self) -> str:
        """A UUID4 as 32 hex digits (projects, users)."""
        return uuid.uuid4().hex

    def dashed(self) -> str:
        """A UUID4 with dashes (everything else OpenStack names)."""
        return str(uuid.uuid4())

    def secret(self, size: int) -> bytes:
        """`size` bytes fit for keys."""
        return secrets.token_bytes(size)

    def uniform(self) -> float:
        """A float in [0, 1) for jitter."""
        return secrets.randbits(53) / (1 << 53)


def request_id(ids: Ids) -> str:
    """`req-<uuid>`, the form that OpenStack clients log."""
    return "req-" + ids.dashed()


def base32(raw: bytes) -> str:
    """RFC 4648 base32 without padding."""
    return base64.b32encode(raw).decode().rstrip("=")
