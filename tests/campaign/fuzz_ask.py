"""Hostile input: one well-framed request, how it is signed and sent, and what may come back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tests.campaign.fuzz_wire import Reply
from tests.support.sigv4 import Signer, canonical_query, digest

REFUSALS = frozenset((501, 503, 507))
"""What a server may say of itself; every other status of 500 and above is a finding."""
SCOPE = "aws4_request"


@dataclass(slots=True)
class Target:
    """An installation as its enemies see it. `tokens`: by the name of their holder."""

    api: str
    objects: str
    account: str
    signers: dict[str, Signer]
    tokens: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    ca: str | None = None

    def address(self, door: str) -> str:
        return self.api if door == "api" else self.objects


@dataclass(slots=True)
class Ask:
    """A request whose framing is right, whatever else is wrong. `target` and `headers` are wire text; `auth` is
    `v4`, `v4:other`, `bad`, `presigned`, `chunks`, `token:<holder>` or empty; `chunked`: size of its chunks, 0: none.
    `make`: the kind of thing whose id a success tells; `label`: the operation that was meant."""

    door: str
    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    auth: str = ""
    chunked: int = 0
    make: str = ""
    label: str = ""

    def document(self) -> dict[str, Any]:
        """For a report."""
        body = self.body.decode("latin-1")
        return {name: getattr(self, name) for name in ("door", "method", "target", "headers", "auth", "chunked")} | {
            "body": body
        }


def _authorized(ask: Ask, headers: dict[str, str], to: Target) -> tuple[str, list[tuple[str, str]]]:
    """The target and the headers that prove who asks."""
    kind, _, who = ask.auth.partition(":")
    if kind == "token":
        return ask.target, [("x-auth-token", to.tokens.get(who, who))]
    if kind == "presigned":
        return _presigned(ask, headers, to.signers["own"]), []
    if not kind:
        return ask.target, []
    signer = to.signers[who or "own"]
    payload = headers.pop("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    headers.pop("x-amz-date", None)
    signed = signer.headers(ask.method, ask.target, headers, payload)
    proof = signed["authorization"]
    if kind == "bad":
        proof = proof[:-4] + ("0000" if not proof.endswith("0000") else "1111")
    names = ("x-amz-date", "x-amz-content-sha256")
    return ask.target, [*((name, signed[name]) for name in names), ("authorization", proof)]


def _presigned(ask: Ask, headers: dict[str, str], signer: Signer) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{signer.region}/s3/{SCOPE}"
    # x-amz-* headers must be signed; the rest of them may change on the way
    signed = {name: value for name, value in headers.items() if name == "host" or name.startswith("x-amz-")}
    names = ";".join(sorted(signed))
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{signer.access}/{scope}', safe='')}"
        f"&X-Amz-Date={stamp}&X-Amz-Expires=900&X-Amz-SignedHeaders={quote(names, safe='')}"
    )
    path, mark, asked = ask.target.partition("?")
    whole = f"{asked}&{query}" if mark and asked else query
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    canonical = "\n".join((ask.method, path, canonical_query(whole), lines, names, "UNSIGNED-PAYLOAD"))
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()))
    return f"{path}?{whole}&X-Amz-Signature={digest(signer.key(stamp[:8]), text).hex()}"


def render(ask: Ask, to: Target) -> bytes:
    """The bytes of the request."""
    host = to.address(ask.door)
    joined: dict[str, str] = {"host": host}
    for name, text in ask.headers:
        low = name.lower()
        joined[low] = f"{joined[low]},{text}" if low in joined else text
    target, proof = _authorized(ask, joined, to)
    hidden = ("x-amz-date", "x-amz-content-sha256") if proof and ask.auth[:5] != "token" else ()
    lines = [f"{ask.method} {target} HTTP/1.1\r\nhost: {host}\r\n"]
    lines += [f"{name}: {text}\r\n" for name, text in ask.headers if name.lower() not in hidden]
    lines += [f"{name}: {text}\r\n" for name, text in proof]
    body = ask.body
    if ask.chunked:
        lines.append("transfer-encoding: chunked\r\n")
        pieces = [body[at : at + ask.chunked] for at in range(0, len(body), ask.chunked)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    elif body or ask.method in ("PUT", "POST", "PATCH"):
        lines.append(f"content-length: {len(body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1") + body


def aws_chunks(payload: bytes, size: int, trailer: str = "") -> bytes:
    """An aws-chunked payload without signatures, with its trailer."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    whole = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return whole + b"0\r\n" + (trailer + "\r\n" if trailer else "").encode("latin-1") + b"\r\n"


def checksum(name: str, payload: bytes) -> str:
    """A right checksum where this is easy, else base64 of the right size."""
    if name == "sha256":
        raw = hashlib.sha256(payload).digest()
    elif name == "sha1":
        raw = hashlib.sha1(payload).digest()
    else:
        raw = zlib.crc32(payload).to_bytes(4, "big") * (2 if name == "crc64nvme" else 1)
    return base64.b64encode(raw).decode()


def post_policy(signer: Signer, conditions: list[Any], hours: int = 1) -> dict[str, str]:
    """The fields that sign a browser's form."""
    now = datetime.now(UTC)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    ends = (now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    credential = f"{signer.access}/{stamp[:8]}/{signer.region}/s3/{SCOPE}"
    fields = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": credential, "x-amz-date": stamp}
    document = {"expiration": ends, "conditions": [*conditions, *({name: text} for name, text in fields.items())]}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    signature = hmac.new(signer.key(stamp[:8]), policy.encode(), "sha256").hexdigest()
    return {**fields, "policy": policy, "x-amz-signature": signature}


def form(fields: list[tuple[str, str]], file: bytes, boundary: str = "xBOUNDx", name: str = "file") -> bytes:
    """A multipart/form-data body."""
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="f.txt"\r\nContent-Type: text/plain'
    )
    return "".join((*parts, head, "\r\n\r\n")).encode("latin-1") + file + f"\r\n--{boundary}--\r\n".encode()


def judge(ask: Ask, reply: Reply) -> str:
    """What is wrong with an answer, or nothing."""
    if reply.status >= 500 and reply.status not in REFUSALS:
        return f"status {reply.status}"
    if not reply.numbered:
        return "no request id"
    if reply.status in REFUSALS and ask.method != "HEAD" and not reply.body:
        return f"status {reply.status} without a reason"
    if reply.status == 429 and b"retry-after" not in reply.headers:
        return "429 without Retry-After"
    if reply.status >= 400 and ask.method != "HEAD" and ask.door != "swift" and not reply.body:
        return f"status {reply.status} without a word"
    return ""
