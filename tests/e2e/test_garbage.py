"""Garbage to any route is refused, never a 500, and the program goes on answering."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from typing import Any

import httpx
import pytest

from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.sigv4 import Signer

pytestmark = pytest.mark.timeout(300)
METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "COPY", "BREW")
SUBRESOURCES = [
    "acl",
    "cors",
    "lifecycle",
    "location",
    "logging",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "tagging",
    "uploads",
    "versioning",
    "versions",
    "website",
    "delete",
    "legal-hold",
    "retention",
    "torrent",
    "restore",
    "attributes",
    "encryption",
    "notification",
    "replication",
    "accelerate",
    "requestPayment",
    "inventory",
    "analytics",
    "metrics",
    "intelligent-tiering",
    "select&select-type=2",
]
ODD_VALUES = ("", "0", "-1", "1e9", "99999999999999999999", "%00", "%ff%fe", "null", "..", "\u00e9", "a" * 5000, "<x/>")
BODIES = (
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"<" * 200,
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>",
    b"<Delete><Object/></Delete>",
    b"<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>",
    b"<LifecycleConfiguration><Rule><Expiration><Days>-1</Days></Expiration></Rule></LifecycleConfiguration>",
    b"<Tagging><TagSet><Tag><Key/></Tag></TagSet></Tagging>",
    b'{"Version":1,"Statement":{"Effect":[]}}',
    b"[]",
    b'[{"path":5,"etag":[],"size_bytes":"x","range":"9-1"}]',
)
HEADERS = [
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "content-md5",
    "content-type",
    "content-encoding",
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-copy-source",
    "x-amz-copy-source-range",
    "x-amz-decoded-content-length",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha256",
    "x-amz-trailer",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-meta-odd",
    "x-delete-at",
    "x-delete-after",
    "x-object-manifest",
    "x-copy-from",
    "x-container-read",
    "x-container-meta-quota-bytes",
    "x-versions-location",
    "x-symlink-target",
    "x-newest",
    "expect",
    "destination",
    "origin",
]


def status_of(answer: bytes) -> int:
    """The status of a raw answer; 0 when the connection was closed without one."""
    words = answer.split(b"\r\n", 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def raw(address: str, request: bytes) -> bytes:
    """The start of the answer to bytes sent as they are."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 30) as wire:
        with contextlib.suppress(OSError):  # the program may answer and close before it has everything
            wire.sendall(request)
            wire.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            return wire.recv(4096)
    return b""


def header_value(chance: random.Random) -> str:
    value = chance.choice(
        (*ODD_VALUES, "bytes=5-1", "bytes=-0", "bytes=0-1,2-", "Mon, 99 Foo 2026", "*", '"', "/b/k", "b")
    )
    return value.encode("ascii", "ignore").decode()


def object_request(chance: random.Random, prefix: str) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body of a request to the object port, most of it nonsense."""
    path = chance.choice(
        ("", "/", "/garbage", "/garbage/key", "/garbage/a%2Fb%00", "/no-such", "/G_", "/garbage/%C3%28")
    )
    names = chance.sample(
        [*SUBRESOURCES, "partNumber", "uploadId", "versionId", "max-keys", "marker", "limit", "format"], 2
    )
    more = (
        "list-type",
        "prefix",
        "delimiter",
        "encoding-type",
        "continuation-token",
        "X-Amz-Expires",
        "temp_url_sig",
        "bulk-delete",
    )
    names.append(
        chance.choice((*more, "multipart-manifest", "symlink", "path", "reverse", "AWSAccessKeyId", "Signature"))
    )
    used = chance.sample(names, chance.randint(0, 3))
    values = ("", "=", *(f"={value}" for value in ODD_VALUES if value.isascii() and "<" not in value))
    query = "&".join(f"{name}{chance.choice(values)}" for name in used)
    headers = {name: header_value(chance) for name in chance.sample(HEADERS, chance.randint(0, 3)) if name != "expect"}
    return (
        chance.choice(METHODS),
        f"{prefix}{path or '/'}" + (f"?{query}" if query else ""),
        headers,
        chance.choice(BODIES),
    )


def wire_form(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {target} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode("latin-1") + body


@pytest.mark.parametrize("seed", range(4))
def test_signed_garbage_on_the_s3_door(cloud: Installation, seed: int) -> None:
    chance = random.Random(seed)
    signer = Signer.of(cloud.s3)
    host = {"host": cloud.objects}
    raw(cloud.objects, wire_form("PUT", "/garbage", signer.headers("PUT", "/garbage", host), b""))
    for _ in range(250):
        method, target, headers, body = object_request(chance, "")
        request = wire_form(method, target, signer.headers(method, target, {**host, **headers}), body)
        answer = raw(cloud.objects, request)
        assert status_of(answer) not in (0, 500), (request[:1500], answer[:600])


@pytest.mark.parametrize("seed", range(4))
def test_garbage_with_a_token_on_the_swift_door(cloud: Installation, demo: Keystone, seed: int) -> None:
    chance = random.Random(seed)
    account = httpx.URL(demo.endpoint("object-store")).path
    token = {"host": cloud.objects, "x-auth-token": demo.token}
    raw(cloud.objects, wire_form("PUT", f"{account}/garbage-swift", token, b""))
    for _ in range(250):
        method, target, headers, body = object_request(chance, account)
        request = wire_form(method, target.replace("/garbage", "/garbage-swift"), {**token, **headers}, body)
        answer = raw(cloud.objects, request)
        assert status_of(answer) not in (0, 500), (request[:1500], answer[:600])


BROKEN_HEADS = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    b"PUT /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"PUT /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nauthorization: AWS4-HMAC-SHA256 \xff\xfe\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nauthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    bytes(range(256)) * 8,
)


@pytest.mark.parametrize("port", ["api", "objects"])
def test_broken_heads(cloud: Installation, port: str) -> None:
    address = cloud.api if port == "api" else cloud.objects
    for request in BROKEN_HEADS:
        answer = raw(address, request)
        assert status_of(answer) != 500, (request[:200], answer[:400])
    assert httpx.get(f"http://{cloud.api}/readyz").status_code == 200


COLLECTIONS = [
    "domains",
    "projects",
    "users",
    "groups",
    "roles",
    "role_assignments",
    "services",
    "endpoints",
    "regions",
    "credentials",
    "limits",
    "registered_limits",
    "policies",
    "auth/tokens",
    "auth/catalog",
    "auth/projects",
    "auth/domains",
    "auth/system",
    "OS-TRUST/trusts",
    "role_inferences",
    "limits/model",
    "users/me/application_credentials",
    "users/me/access_rules",
    "users/me/credentials/OS-EC2",
    "users/me/password",
    "users/me/projects",
    "ec2tokens",
    "s3tokens",
    "OS-REVOKE/events",
    "projects/x/tags",
    "projects/x/users/y/roles",
    "domains/x/config",
    "system/users/x/roles",
    "OS-INHERIT/projects/x/users/y/roles/z/inherited_to_projects",
    "roles/x/implies/y",
    "groups/x/users/y",
    "nothing",
]


def odd_json(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value of wrong shapes around the words that the API knows."""
    words = (
        "user",
        "name",
        "id",
        "auth",
        "identity",
        "methods",
        "password",
        "scope",
        "project",
        "domain",
        "enabled",
        "role",
    )
    more = (
        "domain_id",
        "parent_id",
        "tags",
        "options",
        "trust",
        "credential",
        "blob",
        "type",
        "totp",
        "token",
        "description",
    )
    leaf = (None, True, 0, -1, 2**70, 1.5, "", "x", "default", "\u0000", "\ud7ff", "a" * 300, [], {}, ["password"])
    if depth > 3 or chance.random() < 0.4:
        return chance.choice(leaf)
    if chance.random() < 0.2:
        return [odd_json(chance, depth + 1) for _ in range(2)]
    return {chance.choice((*words, *more)): odd_json(chance, depth + 1) for _ in range(3)}


@pytest.mark.parametrize("who", ["nobody", "admin"])
@pytest.mark.parametrize("seed", range(3))
def test_garbage_on_the_identity_api(cloud: Installation, admin: Keystone, who: str, seed: int) -> None:
    chance = random.Random(seed)
    kinds = {"domains": "domain", "users": "user", "projects": "project", "groups": "group", "roles": "role"}
    for _ in range(300):
        collection = chance.choice(COLLECTIONS)
        path = f"{admin.url}/{collection}" + chance.choice(
            ("", "", "/x", "/%00", "/default", "?name=%00", "?limit=-1", "?marker=")
        )
        body: Any = odd_json(chance)
        if chance.random() < 0.5:
            body = {kinds.get(collection.partition("/")[0], "auth"): body}
        content = json.dumps(body).encode() if chance.random() < 0.9 else chance.choice(BODIES)
        method = chance.choice(("GET", "POST", "PUT", "PATCH", "HEAD"))
        headers = {"X-Auth-Token": admin.token} if who == "admin" else {}
        answer = admin.http.request(method, path, content=content, headers=headers)
        assert answer.status_code != 500, (method, path, content[:1000], answer.text[:500])
