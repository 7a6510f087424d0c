"""The kinds of load that `andromede bench` runs, and the removal of what they leave."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from andromede.errors import Unavailable
from andromede.ops.load import GOOD, Answer, Connection

PART = 8 << 20
MIXED = ("GET", "HEAD", "PUT", "GET", "HEAD", "GET", "PUT", "GET", "HEAD", "GET")  # five, three and two of ten
Operation = Callable[[Connection, int, int], Answer]


@dataclass(frozen=True, slots=True)
class Objects:
    """Operations on objects of one size in one bucket; each connection has as many keys of its own."""

    bucket: str
    size: int
    keys: int

    def address(self, number: int, turn: int) -> str:
        return f"/{self.bucket}/{self.size}/{number:03d}/{turn % self.keys:04d}"

    def plain(self, method: str) -> Operation:
        """PUT, GET, HEAD or DELETE of one object after another."""
        body = bytes(self.size) if method == "PUT" else b""
        return lambda wire, number, turn: wire.call(method, self.address(number, turn), body)

    def mixed(self) -> Operation:
        """Half GET, three tenths HEAD, a fifth PUT."""
        plain = {method: self.plain(method) for method in set(MIXED)}
        return lambda wire, number, turn: plain[MIXED[turn % len(MIXED)]](wire, number, turn)

    def listing(self) -> Operation:
        """A page of up to 1,000 keys."""
        address = f"/{self.bucket}?list-type=2&max-keys=1000&prefix={self.size}%2F"
        return lambda wire, number, turn: wire.call("GET", address)

    def multipart(self) -> Operation:
        """A whole upload in parts of 8 MiB."""

        def upload(wire: Connection, number: int, turn: int) -> Answer:
            address = f"/{self.bucket}/parts/{number:03d}"
            begun = wire.call("POST", f"{address}?uploads=")
            found = re.search(rb"<UploadId>([^<]+)</UploadId>", begun.body)
            if begun.status not in GOOD or found is None:
                return begun
            upload_id, listed = found[1].decode(), ""
            for part in range(1, -(-self.size // PART) + 1):
                size = min(PART, self.size - (part - 1) * PART)
                sent = wire.call("PUT", f"{address}?partNumber={part}&uploadId={upload_id}", bytes(size))
                if sent.status not in GOOD:
                    return sent
                listed += f"<Part><PartNumber>{part}</PartNumber><ETag>{sent.header('etag')}</ETag></Part>"
            whole = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
            return wire.call("POST", f"{address}?uploadId={upload_id}", whole)

        return upload


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issue and validation over the identity API; the user's domain and the project's are the default one."""

    host: str
    user: str
    password: str
    project: str

    def _request(self, method: str, fields: str, body: bytes = b"") -> bytes:
        line = f"{method} /identity/v3/auth/tokens HTTP/1.1\r\nHost: {self.host}\r\n"
        return f"{line}{fields}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body

    def issue(self) -> Operation:
        """A login with the password."""
        domain = {"id": "default"}
        user = {"name": self.user, "password": self.password, "domain": domain}
        scope = {"project": {"name": self.project, "domain": domain}}
        asked = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        request = self._request("POST", "Content-Type: application/json\r\n", json.dumps(asked).encode())
        return lambda wire, number, turn: wire.raw(request)

    def validate(self, wire: Connection) -> Operation:
        """The validation of one token, which a login over this connection makes."""
        made = self.issue()(wire, 0, 0)
        token = made.header("x-subject-token")
        if made.status not in GOOD or not token:
            raise Unavailable(f"no token was issued: status {made.status}", "bench")
        request = self._request("GET", f"X-Auth-Token: {token}\r\nX-Subject-Token: {token}\r\n")
        return lambda wire, number, turn: wire.raw(request)


def remove(wire: Connection, bucket: str) -> None:
    """Everything in the bucket and the bucket itself. Raises `Unavailable` with what was refused."""

    def checked(method: str, address: str) -> bytes:
        answer = wire.call(method, address)
        if answer.status not in GOOD:
            raise Unavailable(
                f"{method} {address} was refused with status {answer.status}: the bucket {bucket} is left with what is "
                "in it; remove it with any S3 client",
                "bench",
            )
        return answer.body

    uploads = checked("GET", f"/{bucket}?uploads=").decode()
    pairs = re.findall(r"<Upload>.*?<Key>([^<]+)</Key>.*?<UploadId>([^<]+)</UploadId>", uploads, re.DOTALL)
    for key, upload in pairs:
        checked("DELETE", f"/{bucket}/{html.unescape(key)}?uploadId={upload}")
    while keys := re.findall(r"<Key>([^<]+)</Key>", checked("GET", f"/{bucket}?list-type=2&max-keys=100").decode()):
        for key in keys:
            checked("DELETE", f"/{bucket}/{html.unescape(key)}")
    checked("DELETE", f"/{bucket}")
