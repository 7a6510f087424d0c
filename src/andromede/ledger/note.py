"""C2SP signed notes and cosignatures: text, a blank line, signature lines."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

ED25519, COSIGNATURE, MLDSA44 = 0x01, 0x04, 0x06
PUBLIC_SIZE = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
MAXIMUM_SIGNATURES = 64
_DASH = "— "


class BadNote(ValueError):
    """A note that does not parse, or a signature by a known key that does not verify."""


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256(name || 0x0A || type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A verifier key (vkey): name, signature type and public key."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that signature lines carry."""
        return key_id(self.name, self.kind, self.public)

    def __str__(self) -> str:
        blob = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{blob}"

    @staticmethod
    def parse(text: str) -> Verifier:
        """Read `name+hex8+base64(type || public)`."""
        try:
            name, short, blob = text.strip().split("+", 2)
            raw = base64.b64decode(blob, validate=True)
        except (ValueError, binascii.Error) as error:
            raise BadNote(f"not a verifier key: {text[:80]!r}") from error
        if not raw or PUBLIC_SIZE.get(raw[0]) != len(raw) - 1 or not name or set(name) & set(" \t\n+"):
            raise BadNote(f"a verifier key of an unknown kind or size: {text[:80]!r}")
        key = Verifier(name, raw[0], raw[1:])
        if key.id.hex() != short:
            raise BadNote(f"the key id of {name} does not fit its key")
        return key

    def check(self, text: str, blob: bytes) -> int | None:
        """Verify one signature over a note's text; the timestamp it carries, None for plain ones."""
        try:
            if self.kind == ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(blob, text.encode())
                return None
            time, signature = int.from_bytes(blob[:8], "big"), blob[8:]
            if self.kind == COSIGNATURE:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, cosigned_message(text, time))
            else:
                message = subtree_message(self.name, text, time)
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            return time
        except InvalidSignature as error:
            raise BadNote(f"the signature by {self.name} does not verify") from error


def cosigned_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosignature signs (C2SP tlog-cosignature)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def subtree_message(name: str, text: str, time: int) -> bytes:
    """What an ML-DSA-44 (co)signature signs: the checkpoint as a subtree from 0 to its size."""
    origin, size, root = checkpoint_fields(text)
    parts = [b"subtree/v1\n\0", bytes([len(name.encode())]), name.encode(), time.to_bytes(8, "big")]
    parts += [bytes([len(origin.encode())]), origin.encode(), bytes(8), size.to_bytes(8, "big"), root]
    return b"".join(parts)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """The three lines of a checkpoint (C2SP tlog-checkpoint)."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def checkpoint_fields(text: str) -> tuple[str, int, bytes]:
    """(origin, size, root) of a checkpoint's text; no extension lines are accepted."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise BadNote("a checkpoint has exactly three lines")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except binascii.Error as error:
        raise BadNote("the root of a checkpoint is not base64") from error
    if not lines[1].isascii() or not lines[1].isdigit() or str(int(lines[1])) != lines[1] or len(root) != 32:
        raise BadNote("the size or root of a checkpoint is malformed")
    return lines[0], int(lines[1]), root


class Signer:
    """A private key with its name: Ed25519 or ML-DSA-44, from a 32-byte seed."""

    def __init__(self, name: str, kind: int, seed: bytes) -> None:
        self._kind = kind
        self._key: Ed25519PrivateKey | MLDSA44PrivateKey
        if kind == MLDSA44:
            self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        else:
            self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, kind, self._key.public_key().public_bytes_raw())

    def line(self, text: str, time: int = 0) -> str:
        """One signature line over a note's text; `time` (seconds) matters to cosignatures only."""
        if self._kind == ED25519:
            blob = self._key.sign(text.encode())
        elif self._kind == COSIGNATURE:
            blob = time.to_bytes(8, "big") + self._key.sign(cosigned_message(text, time))
        else:
            message = subtree_message(self.verifier.name, text, time)
            blob = time.to_bytes(8, "big") + self._key.sign(message)
        return f"{_DASH}{self.verifier.name} {base64.b64encode(self.verifier.id + blob).decode()}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """A verified signature of a note."""

    verifier: Verifier
    time: int | None


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """(text, [(name, key id || signature), ...]) of a note; BadNote when it is malformed."""
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadNote("a note needs text, a blank line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAXIMUM_SIGNATURES:
        raise BadNote("too many signatures")
    signatures = []
    for line in lines:
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise BadNote(f"the signature of {name[:80]!r} is not base64") from error
        if not line.startswith(_DASH) or not name or len(blob) < 5:
            raise BadNote("malformed signature line")
        signatures.append((name, blob))
    return text + "\n", signatures


def open_note(note: str, known: Sequence[Verifier]) -> tuple[str, list[Signature]]:
    """The text and its signatures by known keys. Unknown keys are ignored; a known key whose signature
    fails, or no known key at all, is a BadNote."""
    text, lines = split_note(note)
    keys = {(key.name, key.id): key for key in known}
    found: dict[tuple[str, bytes], Signature] = {}
    for name, blob in lines:
        key = keys.get((name, blob[:4]))
        if key is not None and (name, blob[:4]) not in found:
            found[(name, blob[:4])] = Signature(key, key.check(text, blob[4:]))
    if not found:
        raise BadNote("no signature by a known key")
    return text, list(found.values())
