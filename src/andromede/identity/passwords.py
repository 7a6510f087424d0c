"""argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane), on few threads at a time."""

from __future__ import annotations

import base64
import hmac
import re
import threading

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from andromede.errors import Unavailable
from andromede.identity.rooms import Rooms
from andromede.ids import Ids

MEMORY_KIB = 19456
PASSES = 2
_SALT, _DIGEST = 16, 32
_ENCODED = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})")
"""A hash as this program writes them."""


class Passwords:
    """Hashes and checks secrets. At most `parallel` run at once, so memory stays bounded; a caller that
    waits longer than `patience` seconds gets `Unavailable`."""

    def __init__(self, ids: Ids, parallel: int = 2, patience: float = 20.0) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)
        self._ids = ids
        self._slots = threading.BoundedSemaphore(parallel)
        self._patience = patience
        self._rooms = Rooms(MEMORY_KIB)
        salt, digest = (base64.b64encode(ids.secret(size)).decode().rstrip("=") for size in (_SALT, _DIGEST))
        self._nobody = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${digest}"

    def hash(self, secret: str) -> str:
        """The encoded hash of a secret with a salt of its own."""
        with self._slot():
            return self._hasher.hash(secret, salt=self._ids.secret(_SALT))

    def verify(self, encoded: str | None, secret: str) -> bool:
        """Whether the secret fits; False for None after the same work, so that time tells nothing about users."""
        with self._slot():
            right = self._fits(encoded or self._nobody, secret)
        return right and encoded is not None

    def _fits(self, encoded: str, secret: str) -> bool:
        found = _ENCODED.fullmatch(encoded)
        if found is None or int(found[1]) != self._rooms.kib:
            return self._fits_elsewhere(encoded, secret)
        salt, digest = base64.b64decode(found[3] + "=="), base64.b64decode(found[4] + "=")
        try:
            with self._rooms.room() as room:
                return hmac.compare_digest(room.derive(secret.encode(), salt, int(found[2]), _DIGEST), digest)
        except (OSError, MemoryError, ValueError):  # there is no room to have, or the row is damaged
            return self._fits_elsewhere(encoded, secret)

    def _fits_elsewhere(self, encoded: str, secret: str) -> bool:
        """The same in memory of the C library's, and for hashes of other parameters."""
        try:
            return self._hasher.verify(encoded, secret)
        except (VerificationError, InvalidHashError):
            return False

    def _slot(self) -> _Slot:
        return _Slot(self._slots, self._patience)


class _Slot:
    def __init__(self, slots: threading.BoundedSemaphore, patience: float) -> None:
        self._slots = slots
        self._patience = patience

    def __enter__(self) -> None:
        if not self._slots.acquire(timeout=self._patience):
            raise Unavailable("Too many passwords are being checked; try again in a moment.", "busy", retry_after=5)

    def __exit__(self, *failure: object) -> None:
        self._slots.release()
