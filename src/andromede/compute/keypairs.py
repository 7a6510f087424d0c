"""Public keys of users for their servers, taken as they are or generated."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from andromede.clock import utc
from andromede.compute.core import Core
from andromede.compute.model import Keypair
from andromede.compute.quotas import Quotas
from andromede.compute.tables import KEYPAIRS
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call

BITS = 2048


def _colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def fingerprint(kind: str, public_key: str) -> str:
    """MD5 of an ssh key's blob, SHA-1 of an x509 certificate. Raises `Invalid` for what is neither."""
    try:
        if kind == "x509":
            found = x509.load_pem_x509_certificate(public_key.encode())
            return _colons(
                hashlib.sha1(found.public_bytes(serialization.Encoding.DER), usedforsecurity=False).hexdigest()
            )
        serialization.load_ssh_public_key(public_key.encode())
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise Invalid(f"Keypair data is invalid: failed to generate fingerprint: {kind} key expected", "key") from error
    return _colons(hashlib.md5(blob, usedforsecurity=False).hexdigest())


def generate() -> tuple[str, str]:
    """(public key, private key) as OpenSSH and PEM text."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} Generated-by-Andromede", private.decode()


def certificate(now_us: int, user_id: str) -> tuple[str, str]:
    """(certificate, private key) as PEM text: a client certificate of ten years that names the user."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    begin = utc(now_us).replace(microsecond=0)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


class Keypairs:
    """Keys by user and name."""

    def __init__(self, core: Core, quotas: Quotas) -> None:
        self._core = core
        self._quotas = quotas

    def find(self, user_id: str, name: str) -> Keypair:
        """Raises `NotFound`."""
        found = KEYPAIRS.find(self._core.desk.db, user_id=user_id, name=name)
        if found is None:
            raise NotFound(f"Keypair {name} not found for user {user_id}", "keypair")
        return found

    def listed(self, user_id: str) -> list[Keypair]:
        """A user's keys by name."""
        return KEYPAIRS.select(self._core.desk.db, {"user_id": user_id})

    def create(
        self, call: Call[Any], user_id: str, name: str, kind: str, public_key: str | None
    ) -> tuple[Keypair, str]:
        """(key, private key or ""). Raises `Conflict`, `Invalid`, `OverQuota`."""
        private = ""
        if public_key is None:
            now = self._core.desk.clock.now_us()
            public_key, private = generate() if kind == "ssh" else certificate(now, user_id)
        mark = fingerprint(kind, public_key.strip())
        with self._core.desk.change(call, f"keypair/{name}") as change:
            if KEYPAIRS.find(change.tx, user_id=user_id, name=name) is not None:
                raise Conflict(f"Key pair '{name}' already exists.", "keypair")
            self._quotas.check_keypairs(change.tx, user_id)
            number = change.tx.take("compute_keypair")
            made = Keypair(user_id, name, number, kind, mark, public_key.strip(), change.now_us)
            KEYPAIRS.insert(change.tx, made)
        return made, private

    def remove(self, call: Call[Any], user_id: str, name: str) -> None:
        """Delete a key; servers keep their copy of it."""
        self.find(user_id, name)
        with self._core.desk.change(call, f"keypair/{name}") as change:
            KEYPAIRS.remove(change.tx, user_id=user_id, name=name)
