"""Sealed frames: authenticated encryption in pieces that can be opened one by one.

A body is cut into frames of 262,128 bytes of plaintext (the last one shorter, never empty unless the
body is). Each is sealed with AES-256-GCM under the body's own data key: nonce = frame number (96 bits,
big-endian), associated data = `andromede/frame/v1`, blob id, frame number and whether it is the last.
So a frame that is changed, swapped, repeated or cut off, or a body that is extended, does not open.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from andromede.errors import Fatal
from andromede.objects.buffers import FRAME, PLAIN, TAG


def sealed_size(size: int) -> int:
    """Bytes on disk of a body of `size` bytes."""
    return size + TAG * frame_count(size) if size else 0


def frame_count(size: int) -> int:
    """Frames of a body of `size` bytes."""
    return -(-size // PLAIN)


class Sealer:
    """Seals and opens the frames of one body."""

    __slots__ = ("_aead", "_bound", "blob_id")

    def __init__(self, data_key: bytes, blob_id: str) -> None:
        self._aead = AESGCM(data_key)
        self._bound = b"andromede/frame/v1\0" + blob_id.encode() + b"\0"
        self.blob_id = blob_id

    def _aad(self, number: int, last: bool) -> bytes:
        return self._bound + number.to_bytes(8, "big") + (b"\1" if last else b"\0")

    def seal_one(self, plain: bytes | memoryview) -> bytes:
        """A body of a single frame."""
        return self._aead.encrypt(bytes(12), plain, self._aad(0, True))

    def open_one(self, sealed: bytes) -> bytes:
        """The plaintext of a body of a single frame. Raises `Fatal` reason `damage`."""
        try:
            return self._aead.decrypt(bytes(12), sealed, self._aad(0, True))
        except InvalidTag as error:
            raise damage(self.blob_id, 0) from error

    def seal_into(self, number: int, last: bool, plain: memoryview, out: memoryview) -> None:
        """Seal one frame; `out` is 16 bytes longer than `plain`."""
        self._aead.encrypt_into(number.to_bytes(12, "big"), plain, self._aad(number, last), out)

    def open_into(self, number: int, last: bool, sealed: memoryview, out: memoryview) -> None:
        """Open one frame; `out` is 16 bytes shorter than `sealed`. Raises `Fatal` reason `damage`."""
        try:
            self._aead.decrypt_into(number.to_bytes(12, "big"), sealed, self._aad(number, last), out)
        except InvalidTag as error:
            raise damage(self.blob_id, number) from error


def damage(blob_id: str, number: int) -> Fatal:
    """The error of a frame that does not open."""
    return Fatal(
        f"stored bytes are damaged: frame {number} of {blob_id} does not verify; restore the object from a copy",
        "damage",
        blob=blob_id,
        frame=number,
    )


def frame_offset(number: int) -> int:
    """Where a frame begins on disk, relative to its body."""
    return number * FRAME
