"""Two places that an outsider cannot tell apart: one with everything in it, one with nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.support.house import House, Person
from tests.support.sigv4 import Signer
from tests.unit.s3 import test_walk as s3
from tests.unit.swift import test_walk as swift

FULL, BARE = "full-bucket", "bare-bucket"
KNOWN = {
    "Preflight": "a browser asks unsigned what the rules of a bucket allow its page: they are public by their nature",
    "PreflightObject": "the same",
    "WebsiteGet": "a website is what its owner publishes",
    "WebsiteHead": "the same",
    "ListBuckets": "shows the caller's own buckets",
    "CreateBucket": "bucket names are one space for all of S3: whoever wants to create one learns that it is taken",
}
"""Operations of S3 that tell outsiders something, with the reason. This list may only shrink."""
S3_NO_BUCKET = (404, "NoSuchBucket")
"""The other thing that S3 tells: 403 for a bucket of another, 404 for none. Its clients tell the two apart."""
DOCUMENTS = (
    ("policy", ""), ("lifecycle", s3.RULE), ("cors", s3.CORS), ("encryption", s3.AES), ("tagging", s3.TAGS),
    ("website", s3.INDEX), ("publicAccessBlock", s3.BLOCK), ("ownershipControls", s3.OWNERSHIP),
    ("object-lock", s3.LOCK), ("accelerate", s3.SPEED), ("requestPayment", s3.PAYER),
)  # fmt: skip


@dataclass
class Ground:
    """The victim's two buckets, and those who have no business there."""

    house: House
    owner: Person
    outsiders: dict[str, Person | Signer | None]
    upload: str = ""
    version: str = ""
    names: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, house: House) -> Ground:
        own, far = house.project("own"), house.project("far")
        owner, guest = house.person("owner", own), house.person("guest", far)
        # what a stranger copies or completes must be able to come from a bucket of its own
        assert house.s3(guest, "PUT", "/guests-own").status == 200
        world = house.world
        world.roles["idle"] = world.make("roles", "role", {"name": "idle"})["id"]
        outsiders = {
            "nobody": None, "guest": guest, "far reader": house.person("far reader", far, "reader"),
            "far manager": house.person("far manager", far, "manager"), "idle": house.person("idle", own, "idle"),
            "auditor": house.person("auditor", own, "auditor"), "service": house.person("service", own, "service"),
            "unknown key": Signer("unknown", "secret", "fr1"),
        }  # fmt: skip
        ground = cls(house, owner, outsiders)
        ground._fill(own)
        return ground

    def _fill(self, own: str) -> None:
        lock = {"x-amz-bucket-object-lock-enabled": "true"}
        for name in (FULL, BARE):
            self.done("PUT", f"/{name}", headers=lock)
        deny = {
            "Sid": "SecretOfTheOwner", "Effect": "Deny", "NotPrincipal": {"AWS": own}, "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{FULL}", f"arn:aws:s3:::{FULL}/*"],
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        for query, body in DOCUMENTS:
            data = (body or policy).encode()
            headers = {} if query == "policy" else s3_digest(data)
            self.done("PUT", f"/{FULL}?{query}", data, headers)
        for key in ("k", "new", "big", "gone", "locked"):
            answer = self.done("PUT", f"/{FULL}/{key}", b"secret", {"x-amz-tagging": "a=b"})
            self.version = self.version or answer.headers["x-amz-version-id"]
        begun = self.done("POST", f"/{FULL}/big?uploads")
        self.upload = begun.raw.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        self.done("PUT", f"/{FULL}/big?uploadId={self.upload}&partNumber=1", b"part")
        meta = {"X-Container-Meta-Secret": "s", "X-Container-Read": "third:user", "X-Container-Meta-Temp-Url-Key": "q"}
        answer = self.house.swift(self.owner, "POST", f"{self.owner.account}/{FULL}", headers=meta)
        assert answer.status == 204

    def done(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
        answer = self.house.s3(self.owner, method, target, body, headers)
        assert answer.status < 300, (method, target, answer.raw)
        return answer


def s3_digest(body: bytes) -> dict[str, str]:
    """Content-MD5, which some documents need."""
    import base64
    import hashlib

    return {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}


def s3_request(ground: Ground, name: str, bucket: str) -> tuple[str, bytes, dict[str, str]]:
    """(target, body, headers) of an operation of the walk, on one of the two buckets."""
    ask = s3.ASKS[name]
    target = ask.target.replace("{upload}", ground.upload)
    for old in ("/box", "/locked", "/open", "/bare", "/site"):
        if target == old or target.startswith((f"{old}/", f"{old}?")):
            target = f"/{bucket}{target.removeprefix(old)}"
            break
    body = ask.body.format(etag="0" * 32).encode() if isinstance(ask.body, str) and "{etag}" in ask.body else ask.body
    data = body.encode() if isinstance(body, str) else body
    headers = {key.replace("_", "-"): value.replace("/box/", f"/{bucket}/") for key, value in ask.headers.items()}
    if isinstance(ask.body, str) and data:
        headers.update(s3_digest(data))
    return target, data, headers


def swift_request(route: tuple[str, str], account: str, container: str) -> tuple[str, bytes, dict[str, str]]:
    """(path, body, headers) of a route of the walk, on one of the two containers."""
    ask = swift.ASKS[route]
    level = ask.path.count("/") + bool(ask.path)
    path = "/".join([account, container, "k"][: level + 1])
    return path, ask.body or b"", dict(ask.headers)
