"""The first requests after a start come all at once: nothing that is made at its first use may be made twice."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from urllib.parse import urlsplit

import pytest

from tests.support.atonce import Ask, at_once
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.sigv4 import UNSIGNED, Signer

pytestmark = pytest.mark.timeout(120)
CLIENTS = 16


def logins(own: Installation) -> list[Ask]:
    """Passwords of two users, with and without a project."""
    asks = []
    for number in range(CLIENTS):
        auth = own.clouds[("andromede", "andromede-admin")[number % 2]]["auth"]
        user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
        scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        document = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        if number % 4 == 3:
            del document["auth"]["scope"]
        sent = {"content-type": "application/json"}
        asks.append(Ask("POST", "/identity/v3/auth/tokens", 201, json.dumps(document).encode(), sent))
    return asks


def identity_calls(token: str) -> list[Ask]:
    """An administrator's calls with different bodies."""
    sent = {"content-type": "application/json", "x-auth-token": token}
    made = [
        ("/projects", {"project": {"name": "p%d", "domain_id": "default"}}),
        ("/users", {"user": {"name": "u%d", "password": "a long pass phrase", "domain_id": "default"}}),
        ("/roles", {"role": {"name": "r%d"}}),
        ("/domains", {"domain": {"name": "d%d"}}),
    ]
    pairs = [made[number % len(made)] for number in range(CLIENTS)]
    return [
        Ask("POST", f"/identity/v3{path}", 201, json.dumps(body).replace("%d", str(number)).encode(), sent)
        for number, (path, body) in enumerate(pairs)
    ]


def s3_calls(own: Installation, *, made: bool) -> list[Ask]:
    """First buckets; once they are `made`, an operation of another kind in each."""
    signer = Signer.of(own.s3)
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    versions = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    rule = b"<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    cors = b"<CORSConfiguration>" + rule + b"</CORSConfiguration>"
    kinds = [
        ("PUT", "/k", b"x" * 10, 200),
        ("PUT", "/big", bytes(300_000), 200),
        ("POST", "/k?uploads", b"", 200),
        ("PUT", "?tagging", tags, 204),
        ("PUT", "?versioning", versions, 200),
        ("PUT", "?cors", cors, 200),
        ("GET", "?list-type=2", b"", 200),
        ("GET", "?uploads", b"", 200),
    ]
    asks = []
    for number in range(CLIENTS):
        method, rest, body, wanted = kinds[number % len(kinds)] if made else ("PUT", "", b"", 200)
        target = f"/first-{number}{rest}"
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        headers = signer.headers(method, target, {"host": own.objects, "content-md5": digest}, UNSIGNED)
        asks.append(Ask(method, target, wanted, body, headers))
    return asks


def swift_calls(user: Keystone) -> list[Ask]:
    """Containers of another name than the buckets, each with metadata, and the account."""
    base = urlsplit(user.endpoint("object-store")).path
    sent = {"x-auth-token": user.token}
    kinds = [("PUT", "/swift-%d", 201), ("GET", "?format=json", 200), ("HEAD", "", 204), ("POST", "", 204)]
    pairs = [(number, kinds[number % len(kinds)]) for number in range(CLIENTS)]
    return [
        Ask(method, base + path.replace("%d", str(number)), wanted, b"", {**sent, f"x-account-meta-{number}": "x"})
        for number, (method, path, wanted) in pairs
    ]


def died(own: Installation) -> list[str]:
    """What the log has of processes that ended before they were told to."""
    return [line for line in own.log_text().splitlines() if "role.died" in line or "Fatal Python error" in line]


def test_sixteen_clients_at_once_right_after_a_start(own: Installation) -> None:
    own.start()
    assert at_once(own.api, logins(own)) == []
    assert at_once(own.objects, s3_calls(own, made=False)) == []
    user = Keystone.log_in(own, own.clouds["andromede"]["auth"])
    admin = Keystone.admin(own)
    with contextlib.closing(user.http), contextlib.closing(admin.http):
        assert at_once(own.objects, swift_calls(user)) == []
        assert at_once(own.objects, s3_calls(own, made=True)) == []
        assert at_once(own.api, identity_calls(admin.token)) == []
    assert died(own) == []
