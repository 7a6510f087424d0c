"""Certificates as a program that ends TLS wants them: key, certificate and chain in one PEM text."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7, pkcs12

from andromede.errors import Invalid

_BEGIN = b"-----BEGIN"


def bundle(parts: Mapping[str, bytes]) -> bytes:
    """The PEM text of a certificate container: `certificate`, `private_key`, and maybe `private_key_passphrase` and
    `intermediates`, each as PEM or DER. Invalid when they do not make a pair."""
    if "certificate" not in parts or "private_key" not in parts:
        raise Invalid("a certificate container needs certificate and private_key", "certificate")
    try:
        return _joined(
            _key(parts["private_key"], parts.get("private_key_passphrase")),
            [*_certificates(parts["certificate"]), *_chain(parts.get("intermediates", b""))],
        )
    except (ValueError, TypeError) as error:
        raise Invalid(f"the certificate or its key cannot be read: {error}", "certificate") from error


def bag(raw: bytes) -> bytes:
    """The same of a PKCS #12 bundle without a pass phrase, or of one PEM text that holds everything."""
    try:
        if _BEGIN in raw:
            return _joined(_key(raw, None), _certificates(raw))
        key, certificate, more = pkcs12.load_key_and_certificates(raw, None)
        if key is None or certificate is None:
            raise Invalid("the PKCS #12 bundle holds no key with a certificate", "certificate")
        return _joined(key, [certificate, *more])
    except (ValueError, TypeError) as error:
        raise Invalid(f"the bundle cannot be read: {error}", "certificate") from error


def authorities(raw: bytes) -> bytes:
    """Certificates or revocation lists as PEM."""
    if _BEGIN in raw:
        return raw if raw.endswith(b"\n") else raw + b"\n"
    try:
        return b"".join(each.public_bytes(Encoding.PEM) for each in _certificates(raw))
    except ValueError:
        try:
            return x509.load_der_x509_crl(raw).public_bytes(Encoding.PEM)
        except ValueError as error:
            raise Invalid(f"neither certificates nor a revocation list: {error}", "certificate") from error


def _key(raw: bytes, passphrase: bytes | None) -> object:
    if _BEGIN in raw:
        return serialization.load_pem_private_key(raw, passphrase)
    return serialization.load_der_private_key(raw, passphrase)


def _certificates(raw: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(raw) if _BEGIN in raw else [x509.load_der_x509_certificate(raw)]


def _chain(raw: bytes) -> list[x509.Certificate]:
    if not raw:
        return []
    if b"BEGIN PKCS7" in raw:
        return pkcs7.load_pem_pkcs7_certificates(raw)
    if _BEGIN in raw:
        return x509.load_pem_x509_certificates(raw)
    try:
        return [x509.load_der_x509_certificate(raw)]
    except ValueError:
        return pkcs7.load_der_pkcs7_certificates(raw)


def _joined(key: object, certificates: list[x509.Certificate]) -> bytes:
    public = certificates[0].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    own = key.public_key()  # type: ignore[attr-defined]
    if own.public_bytes(Encoding.DER, form) != public.public_bytes(Encoding.DER, form):
        raise Invalid("the private key is not that of the certificate", "certificate")
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]
    return text + b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
