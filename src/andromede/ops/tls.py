"""A local certificate authority and the certificate of this machine, for `--tls` without one's own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from andromede.clock import Clock, utc
from andromede.errors import Invalid
from andromede.ids import Ids
from andromede.ops.layout import Layout, private_write

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_DAYS = 30
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 is spoken with: forward secrecy and authenticated encryption only, as in the intermediate profile of
Mozilla's "Server Side TLS" (TLS 1.3 has nothing else)."""


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of the local authority."""

    ca: Path
    ca_key: Path
    certificate: Path
    key: Path


def files(layout: Layout) -> Files:
    """Where they lie."""
    folder = layout.tls
    return Files(folder / "ca.pem", folder / "ca-key.pem", folder / "server.pem", folder / "server-key.pem")


def load_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises `Invalid`."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} holds no certificate that can be read: {error}", "tls") from error


def names(hosts: Sequence[str]) -> list[str]:
    """The names a local certificate must carry, listen hosts included, without repeats."""
    wanted = ["localhost", "127.0.0.1", "::1", socket.gethostname(), *hosts]
    return [name for name in dict.fromkeys(wanted) if name and name not in ("0.0.0.0", "::")]  # noqa: S104


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _covers(certificate: x509.Certificate, wanted: Sequence[str], now: dt.datetime) -> bool:
    if certificate.not_valid_after_utc - now < dt.timedelta(days=RENEW_DAYS):
        return False
    held = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    return all(_general(name) in held for name in wanted)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Andromède"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _builder(key: ec.EllipticCurvePrivateKey, issuer: x509.Name, ids: Ids) -> x509.CertificateBuilder:
    serial = int.from_bytes(ids.secret(16), "big") >> 1 | 1
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .add_extension(identifier, critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(found: Files, now: dt.datetime, ids: Ids) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"local authority {ids.hex()[:8]}")
    certificate = (
        _builder(key, subject, ids)
        .subject_name(subject)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    private_write(found.ca_key, _pem_key(key))
    private_write(found.ca, certificate.public_bytes(serialization.Encoding.PEM))


def _make_leaf(found: Files, wanted: Sequence[str], now: dt.datetime, ids: Ids) -> None:
    authority = load_certificate(found.ca)
    signer = serialization.load_pem_private_key(found.ca_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = (
        _builder(key, authority.subject, ids)
        .subject_name(_subject(wanted[0]))
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(min(now + dt.timedelta(days=LEAF_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(signer, hashes.SHA256())
    )
    private_write(found.key, _pem_key(key))
    private_write(
        found.certificate,
        certificate.public_bytes(serialization.Encoding.PEM) + authority.public_bytes(serialization.Encoding.PEM),
    )


def ensure(layout: Layout, hosts: Sequence[str], clock: Clock, ids: Ids) -> Files:
    """The local authority and a certificate for `hosts`, made or renewed when needed (P-256, RFC 5280)."""
    found, now, wanted = files(layout), utc(clock.now_us()), names(hosts)
    layout.tls.mkdir(mode=0o700, exist_ok=True)
    if not (found.ca.exists() and found.ca_key.exists()):
        _make_authority(found, now, ids)
        found.certificate.unlink(missing_ok=True)
    if not (found.certificate.exists() and found.key.exists()) or not _covers(
        load_certificate(found.certificate), wanted, now
    ):
        _make_leaf(found, wanted, now, ids)
    return found
