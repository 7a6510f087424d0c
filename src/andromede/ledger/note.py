"""C2SP signed notes and cosignatures: text, a blank line, signature lines."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

ED25519, COSIGNATURE, MLDSA44 = 0x01, 0x04, 0x06
PUBLIC_SIZE = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}
MAXIMUM_SIGNATURES = 64
MAXIMUM_NAME = 255
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class BadNote(ValueError):
    """A note that does not parse, or a signature by a known key that does not verify."""


def decode(text: str, what: str) -> bytes:
    """The bytes of a base64 text in its one canonical spelling (RFC 4648 section 4); BadNote naming `what`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadNote(f"{what} is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise BadNote(f"{what} is not canonical base64")
    return raw


def number(text: str, what: str) -> int:
    """A decimal number without leading zeroes below 2**63; BadNote naming `what`."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or (text[0] == "0" and text != "0"):
        raise BadNote(f"{what} is not a number")
    value = int(text)
    if value >> 63:
        raise BadNote(f"{what} is too large")
    return value


def name_fits(name: str) -> bool:
    """Whether a key name is one of C2SP signed-note: no Unicode spaces, no plus, at most 255 bytes here."""
    return bool(name) and len(name.encode()) <= MAXIMUM_NAME and not any(c == "+" or c.isspace() for c in name)


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

    @property
    def fingerprint(self) -> str:
        """For people to compare: half of SHA-256(type || public key) in groups of four hex digits. The name is not in
        it, so all logs of an installation show the same one; the four bytes of `id` would be found again by trying."""
        digits = hashlib.sha256(bytes([self.kind]) + self.public).hexdigest()[:32]
        return " ".join(digits[at : at + 4] for at in range(0, 32, 4))

    def __str__(self) -> str:
        blob = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{blob}"

    @staticmethod
    def parse(text: str) -> Verifier:
        """Read `name+hex8+base64(type || public)`."""
        try:
            name, short, blob = text.strip().split("+", 2)
            raw, fits = decode(blob, "the key"), name_fits(name)
        except ValueError as error:
            raise BadNote(f"not a verifier key: {text[:80]!r}") from error
        if not raw or PUBLIC_SIZE.get(raw[0]) != len(raw) - 1 or not fits:
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
        except (InvalidSignature, ValueError) as error:
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
    size, root = number(lines[1], "the size of a checkpoint"), decode(lines[2], "the root of a checkpoint")
    if len(root) != 32 or len(lines[0].encode()) > MAXIMUM_NAME:
        raise BadNote("the origin or root of a checkpoint has the wrong length")
    return lines[0], size, root


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

    def under(self, name: str) -> Signer:
        """The same key under another name."""
        other = copy(self)
        other.verifier = Verifier(name, self._kind, self.verifier.public)
        return other

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
    if _CONTROL.search(note):
        raise BadNote("a note is UTF-8 text without control characters")
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadNote("a note needs text, a blank line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAXIMUM_SIGNATURES:
        raise BadNote("too many signatures")
    signatures = []
    for line in lines:
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        blob = decode(encoded, f"the signature of {name[:80]!r}")
        if not line.startswith(_DASH) or not name_fits(name) or len(blob) < 5:
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
