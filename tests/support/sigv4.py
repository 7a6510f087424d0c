"""Signature version 4 for raw requests, so that tests can send what no SDK would send (AWS, "Signature Version 4")."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

UNSIGNED = "UNSIGNED-PAYLOAD"


def digest(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def canonical_query(query: str) -> str:
    """The query with names and values in one form of escaping, sorted."""
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    clean = [
        (quote(unquote_to_bytes(name), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~"))
        for name, value in pairs
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(clean))


@dataclass(frozen=True, slots=True)
class Signer:
    """An access key for one region."""

    access: str
    secret: str
    region: str

    @classmethod
    def of(cls, s3: Mapping[str, str]) -> Signer:
        """From the AWS_ variables."""
        return cls(s3["AWS_ACCESS_KEY_ID"], s3["AWS_SECRET_ACCESS_KEY"], s3["AWS_REGION"])

    def key(self, day: str) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = digest(key, part)
        return key

    def headers(
        self, method: str, target: str, headers: Mapping[str, str], payload: str = UNSIGNED, now_us: int | None = None
    ) -> dict[str, str]:
        """The headers to send: those given (with host), the date, the payload hash and the signature over all of them.

        `target` is the escaped path and query as it goes over the wire; `payload` the hex SHA-256 or a literal;
        `now_us` the time of a server whose clock stands still.
        """
        now = datetime.now(UTC) if now_us is None else datetime.fromtimestamp(now_us // 1_000_000, UTC)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        path, _, query = target.partition("?")
        signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        signed |= {"x-amz-date": stamp, "x-amz-content-sha256": payload}
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = "\n".join((method, path, canonical_query(query), lines, names, payload))
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()))
        signature = digest(self.key(stamp[:8]), text).hex()
        credential = f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "x-amz-date": stamp, "x-amz-content-sha256": payload, "authorization": credential}
