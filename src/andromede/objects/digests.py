"""MD5 and the S3 checksums over one pass of a body, in native code with the interpreter lock released."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from awscrt import checksums as crt

from andromede.errors import Invalid

_CRC: dict[str, tuple[Callable[..., int], int]] = {
    "CRC32": (crt.crc32, 4),
    "CRC32C": (crt.crc32c, 4),
    "CRC64NVME": (crt.crc64nvme, 8),
}
_SHA: dict[str, Callable[[], Any]] = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256}
_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}
ALGORITHMS = (*_CRC, *_SHA)


def md5(data: bytes | memoryview) -> str:
    """Hex MD5, as ETags are."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def checksum(algorithm: str, data: bytes | memoryview) -> str:
    """Base64 value of one checksum."""
    if algorithm in _CRC:
        function, width = _CRC[algorithm]
        return base64.b64encode(function(data).to_bytes(width, "big")).decode()
    return base64.b64encode(_sha(algorithm, data).digest()).decode()


def _sha(algorithm: str, data: bytes | memoryview) -> Any:
    if algorithm not in _SHA:
        raise Invalid(f"{algorithm!r} is not a checksum algorithm (known: {', '.join(ALGORITHMS)})", "checksum")
    found = _SHA[algorithm]()
    found.update(data)
    return found


class Digests:
    """Running MD5 and checksums."""

    def __init__(self, algorithms: Sequence[str], md5: bool = True) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._crc = {name: 0 for name in algorithms if name in _CRC}
        self._sha = {name: _sha(name, b"") for name in algorithms if name not in _CRC}
        self._order = tuple(algorithms)

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        if self._md5 is not None:
            self._md5.update(data)
        for name, value in self._crc.items():
            self._crc[name] = _CRC[name][0](data, value)
        for digest in self._sha.values():
            digest.update(data)

    def md5(self) -> str | None:
        """Hex MD5 so far, if it is computed."""
        return None if self._md5 is None else self._md5.hexdigest()

    def checksums(self) -> dict[str, str]:
        """Base64 values so far, in the order asked for."""
        out = {}
        for name in self._order:
            if name in self._crc:
                raw = self._crc[name].to_bytes(_CRC[name][1], "big")
            else:
                raw = self._sha[name].digest()
            out[name] = base64.b64encode(raw).decode()
        return out


def combine_full(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The checksum of the whole from (base64 value, size) of its parts, without reading them. CRC only."""
    if algorithm not in _COMBINE:
        raise Invalid(f"a full-object {algorithm} cannot be put together from parts; use COMPOSITE", "checksum")
    value = 0
    for encoded, size in parts:
        value = _COMBINE[algorithm](value, int.from_bytes(base64.b64decode(encoded), "big"), size)
    return base64.b64encode(value.to_bytes(_CRC[algorithm][1], "big")).decode()


def combine_composite(algorithm: str, values: Sequence[str]) -> str:
    """The checksum of the parts' checksums, with `-N`."""
    joined = b"".join(base64.b64decode(value) for value in values)
    return f"{checksum(algorithm, joined)}-{len(values)}"


def combine_etags(etags: Sequence[str]) -> str:
    """The ETag of a multipart object: MD5 of the parts' binary MD5s, with `-N`. Of an opaque one the digits count."""
    return f"{md5(b''.join(bytes.fromhex(etag[:32]) for etag in etags))}-{len(etags)}"
