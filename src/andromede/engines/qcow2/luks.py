"""The head of a LUKS volume (LUKS On-Disk Format Specification 1.2.3), made here in a few milliseconds.

`qemu-img` measures for 2.5 CPU seconds how many iterations the machine can bear before it writes one, whatever it is
told. A pass phrase of 256 random bits gains nothing by iterations, so these heads have few.
"""

from __future__ import annotations

import hashlib
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from andromede.ids import Ids

SECTOR = 512
KEY = 64
"""Bytes of the volume key: AES-256 in XTS mode takes two keys."""
_STRIPES = 4000
_SLOTS, _FIRST, _SLOT_SECTORS = 8, 8, 504
_ITERATIONS = 1000
_ACTIVE, _UNUSED = 0x00AC71F3, 0x0000DEAD
HEAD_BYTES = (_FIRST + _SLOTS * _SLOT_SECTORS) * SECTOR
"""Bytes before the payload."""


def _diffuse(block: bytes) -> bytes:
    parts = [block[at : at + 32] for at in range(0, len(block), 32)]
    return b"".join(hashlib.sha256(struct.pack(">I", n) + part).digest() for n, part in enumerate(parts))


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def _split(key: bytes, random: bytes) -> bytes:
    """The anti-forensic split of the key over stripes (2.4 of the specification)."""
    mixed = bytes(KEY)
    for at in range(0, len(random), KEY):
        mixed = _diffuse(_xor(mixed, random[at : at + KEY]))
    return random + _xor(mixed, key)


def _sealed(key: bytes, plain: bytes) -> bytes:
    """AES-XTS with the sector's number as the initial vector (plain64), counted from the start of the material."""
    sealed = []
    for number, at in enumerate(range(0, len(plain), SECTOR)):
        cipher = Cipher(algorithms.AES(key), modes.XTS(number.to_bytes(16, "little"))).encryptor()
        sealed.append(cipher.update(plain[at : at + SECTOR]))
    return b"".join(sealed)


def head(passphrase: bytes, ids: Ids) -> bytes:
    """The bytes of a new head up to the end of its first key slot, with a new volume key that `passphrase` opens."""
    key = ids.secret(KEY)
    salt, digest_salt = ids.secret(32), ids.secret(32)
    digest = hashlib.pbkdf2_hmac("sha256", key, digest_salt, _ITERATIONS, 20)
    text = struct.pack(
        ">6sH32s32s32sII20s32sI40s", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", HEAD_BYTES // SECTOR, KEY,
        digest, digest_salt, _ITERATIONS, ids.dashed().encode(),
    )  # fmt: skip
    for slot in range(_SLOTS):
        mine = (_ACTIVE, _ITERATIONS, salt) if slot == 0 else (_UNUSED, 0, bytes(32))
        text += struct.pack(">II32sII", *mine, _FIRST + slot * _SLOT_SECTORS, _STRIPES)
    opener = hashlib.pbkdf2_hmac("sha256", passphrase, salt, _ITERATIONS, KEY)
    material = _sealed(opener, _split(key, ids.secret((_STRIPES - 1) * KEY)))
    return text.ljust(_FIRST * SECTOR, b"\0") + material
