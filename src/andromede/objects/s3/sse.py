"""Server-side encryption headers: SSE-S3, SSE-KMS and SSE-C, mapped onto the core's `Encryption`.

API reference, "Protecting data with server-side encryption". Bytes are sealed in every mode; the headers
choose the key. A customer key never leaves the request but for its MD5, which every answer repeats.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from andromede.errors import Invalid
from andromede.objects.model import Encryption, Version
from andromede.objects.s3 import kinds
from andromede.web.stream.message import Headers

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

MODE = "x-amz-server-side-encryption"
KMS_KEY = MODE + "-aws-kms-key-id"
CUSTOMER = MODE + "-customer-"
SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"
AES256, KMS, SSE_C = "AES256", "aws:kms", "SSE-C"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a request says of encryption: the mode, and the customer's key for SSE-C."""

    encryption: Encryption
    customer_key: bytes | None = field(default=None, repr=False)


NOTHING = Keys(Encryption())


def wanted(call: S3Call, default: Encryption | None) -> Keys:
    """What a write asks for; `default` is the bucket's rule. Raises `Invalid`."""
    if not call.kinds & kinds.SSE:
        return Keys(default) if default is not None else NOTHING
    headers = call.headers
    mode, kms_key = headers.get(MODE), headers.get(KMS_KEY)
    customer = customer_key(headers, CUSTOMER, secure(call))
    if customer is not None:
        if mode is not None:
            raise Invalid("server-side encryption with a customer key excludes the other methods", "invalid_argument")
        key, md5 = customer
        return Keys(Encryption(SSE_C, None, md5), key)
    if mode is None:
        if kms_key is not None:
            raise Invalid(f"{KMS_KEY} needs {MODE}: aws:kms", "invalid_argument")
        return Keys(default) if default is not None else NOTHING
    if mode == AES256:
        if kms_key is not None:
            raise Invalid(f"{KMS_KEY} does not go with {MODE}: AES256", "invalid_argument")
        return Keys(Encryption(AES256))
    if mode == KMS:
        if not kms_key:
            raise Invalid(f"{MODE}: aws:kms needs {KMS_KEY}, the name of a key of this project", "invalid_argument")
        return Keys(Encryption(KMS, kms_key))
    raise Invalid(f"{MODE} must be AES256 or aws:kms, not {mode[:32]!r}", "invalid_argument")


def secure(call: S3Call) -> bool:
    """Whether customer keys may travel on this connection."""
    return call.request.scheme == "https" or call.context.config.objects.sse_c_plain_http


def customer_key(headers: Headers, prefix: str, secure_transport: bool) -> tuple[bytes, str] | None:
    """Key and base64 MD5 of an SSE-C request, None without one. Raises `Invalid` when it is incomplete."""
    algorithm = headers.get(prefix + "algorithm")
    text, md5 = headers.get(prefix + "key"), headers.get(prefix + "key-md5")
    if algorithm is None and text is None and md5 is None:
        return None
    if not secure_transport:
        raise Invalid("requests with customer encryption keys must be made over TLS", "invalid_request")
    if algorithm != AES256:
        if algorithm is None:
            raise Invalid(f"{prefix}algorithm is missing; AES256 is the only one", "invalid_argument")
        raise Invalid(f"{prefix}algorithm must be AES256", "encryption_algorithm")
    if text is None or md5 is None:
        raise Invalid(f"a customer key needs {prefix}key and {prefix}key-md5", "invalid_argument")
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise Invalid("the customer key is not the base64 of 32 bytes", "invalid_argument")
    computed = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    if not hmac.compare_digest(computed.encode(), md5.encode("latin-1")):
        raise Invalid("the MD5 of the customer key does not match the key", "invalid_argument")
    return key, computed


def opening_key(call: S3Call, version: Version, prefix: str = CUSTOMER) -> bytes | None:
    """The customer key that opens a version, None when it has none. Raises `Invalid` or `Denied`."""
    if not call.kinds & kinds.SSE and version.attributes.encryption.mode != SSE_C:
        return None
    if prefix is CUSTOMER and MODE in call.headers:
        raise Invalid(f"{MODE} does not belong on a request that reads", "invalid_argument")
    given = customer_key(call.headers, prefix, secure(call)) if prefix + "algorithm" in call.headers else None
    if given is None and (prefix + "key" in call.headers or prefix + "key-md5" in call.headers):
        customer_key(call.headers, prefix, secure(call))
    encryption = version.attributes.encryption
    if encryption.mode != SSE_C:
        if given is not None and version.size:
            raise Invalid("the object is not encrypted with a customer key", "invalid_request")
        return None
    if given is None:
        raise Invalid("the object was stored with a customer key; give the same key again", "invalid_request")
    key, md5 = given
    if encryption.customer_key_md5 is not None and encryption.customer_key_md5 != md5:
        raise Invalid("the customer key is not the one that the object was stored with", "invalid_request")
    return key


def answer_headers(encryption: Encryption) -> list[tuple[str, str | bytes]]:
    """What an answer says of the encryption of an object or upload."""
    if encryption.mode == SSE_C:
        return [(CUSTOMER + "algorithm", AES256), (CUSTOMER + "key-MD5", encryption.customer_key_md5 or "")]
    if encryption.mode == KMS:
        return [(MODE, KMS), (KMS_KEY, encryption.key_id or "")]
    if encryption.mode == AES256:
        return [(MODE, AES256)]
    return []
