"""Wrapping: AES-256-GCM under the parent, bound to what is wrapped.

A wrapped key is `u32 parent version ‖ IV (96 random bits) ‖ ciphertext ‖ tag (128 bits)`. The
associated data is `andromede/wrap/v1`, key id, key version, parent id and tenant, separated by NUL
bytes (none of them contains one), so a wrapped key moved to another place in the tree does not open.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from andromede.errors import Denied, Fatal

IV = 12
OVERHEAD = 4 + IV + 16
_CUSTOMER = b"andromede/sse-c/v1"


def aad(key_id: str, version: int, parent: str, tenant: str) -> bytes:
    """What a wrapped key is bound to."""
    return f"andromede/wrap/v1\0{key_id}\0{version}\0{parent}\0{tenant}".encode()


def seal(parent: AESGCM, parent_version: int, iv: bytes, plain: bytes, bound: bytes) -> bytes:
    """Wrap `plain`; `iv` is 12 fresh random bytes."""
    return parent_version.to_bytes(4, "big") + iv + parent.encrypt(iv, plain, bound)


def parent_version(wrapped: bytes) -> int:
    """Which version of the parent opens it."""
    return int.from_bytes(wrapped[:4], "big")


def unseal(parent: AESGCM, wrapped: bytes, bound: bytes, what: str) -> bytes:
    """Unwrap, or raise `Fatal` reason `damage`."""
    try:
        return parent.decrypt(wrapped[4 : 4 + IV], wrapped[4 + IV :], bound)
    except (InvalidTag, ValueError) as error:
        raise Fatal(f"the wrapped key of {what} does not open: it was altered or moved", "damage") from error


def _customer(customer_key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, _CUSTOMER).derive(customer_key))


def seal_for_customer(customer_key: bytes, random: bytes, plain: bytes, blob_id: str) -> bytes:
    """Seal a data key under a key derived from the customer's (SSE-C): `salt[16] ‖ IV ‖ sealed`.
    `random` is 28 fresh random bytes. The customer's key itself is kept nowhere."""
    salt, iv = random[:16], random[16:28]
    return salt + iv + _customer(customer_key, salt).encrypt(iv, plain, blob_id.encode())


def open_for_customer(customer_key: bytes, sealed: bytes, blob_id: str) -> bytes:
    """The data key, or `Denied` reason `sse_c` when the key is not the one it was sealed with."""
    try:
        return _customer(customer_key, sealed[:16]).decrypt(sealed[16:28], sealed[28:], blob_id.encode())
    except (InvalidTag, ValueError) as error:
        raise Denied("the customer key is not the one that this object was stored with", "sse_c") from error
