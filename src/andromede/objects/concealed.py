"""The MD5 of a customer's key (SSE-C) never stands in a row as it is: it is sealed under the container's key.

Doors see the plain value that the client sent. Where the key that sealed it is gone they see None; the
customer key itself is proven by opening the data key in any case.
"""

from __future__ import annotations

import base64
import dataclasses

import msgspec

from andromede.errors import Error
from andromede.keys import KeyRing
from andromede.objects.model import Attributes, Upload, Version

_MARK = "sealed:"


def conceal(keys: KeyRing, key_id: str, version_id: str, attributes: Attributes) -> Attributes:
    """The attributes as rows keep them."""
    md5 = attributes.encryption.customer_key_md5
    if md5 is None or md5.startswith(_MARK):
        return attributes
    wrapped = keys.seal_data_key(keys.newest(key_id), f"md5/{version_id}", md5.encode())
    text = f"{_MARK}{key_id}:{base64.b64encode(wrapped).decode()}"
    return _with(attributes, text)


def _with(attributes: Attributes, md5: str | None) -> Attributes:
    return dataclasses.replace(attributes, encryption=dataclasses.replace(attributes.encryption, customer_key_md5=md5))


def _revealed(keys: KeyRing, version_id: str, attributes: Attributes) -> Attributes:
    text = attributes.encryption.customer_key_md5
    if text is None or not text.startswith(_MARK):
        return attributes
    key_id, _, sealed = text.removeprefix(_MARK).partition(":")
    try:
        md5: str | None = keys.open_data_key(key_id, f"md5/{version_id}", base64.b64decode(sealed)).decode()
    except Error:
        md5 = None
    return _with(attributes, md5)


def reveal(keys: KeyRing, version: Version) -> Version:
    """A version as doors see it."""
    if version.attributes.encryption.customer_key_md5 is None:
        return version
    return msgspec.structs.replace(version, attributes=_revealed(keys, version.id, version.attributes))


def reveal_upload(keys: KeyRing, upload: Upload) -> Upload:
    """An upload as doors see it."""
    if upload.attributes.encryption.customer_key_md5 is None:
        return upload
    return dataclasses.replace(upload, attributes=_revealed(keys, upload.version_id, upload.attributes))
