"""People and buckets that facts are made of."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.installation import Installation
from tests.support.keystone import Keystone, Tenant
from tests.support.sigv4 import Signer
from tests.support.workers import Answer, Headers, Line, Sign, Workers, signed, with_token

Step = tuple[Callable[[Line], object], Hashable]
"""A change through one line, and what every probe that begins after it shall see."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that workers may keep in memory: how to look at it, and changes that can be made in turn.

    `again`: the changes can be made any number of times, the first follows the last. `whole`: each is one request,
    and others may look meanwhile.
    """

    probe: Callable[[Line], Hashable]
    steps: Sequence[Step]
    again: bool = True
    whole: bool = True


@dataclass(slots=True)
class Person:
    """A user of a project with a key pair and a token."""

    tenant: Tenant
    user: Keystone
    s3: Sign
    swift: Sign

    @property
    def project(self) -> str:
        return self.tenant.project_id

    @property
    def account(self) -> str:
        return f"/v1/AUTH_{self.project}"


@dataclass(slots=True)
class Scene:
    """A running installation with an administrator, an owner of buckets and another tenant."""

    installation: Installation
    workers: Workers
    admin: Keystone = field(init=False)
    owner: Person = field(init=False)
    other: Person = field(init=False)
    users: list[Keystone] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.admin = Keystone.admin(self.installation)
        self.users.append(self.admin)
        self.owner, self.other = self.person("owner"), self.person("other")

    def close(self) -> None:
        for user in self.users:
            user.http.close()

    def name(self, kind: str = "fact") -> str:
        """A name that nothing has yet."""
        return f"{kind}-{next(self.numbers)}-{secrets.token_hex(3)}"

    def signer(self, access: str, secret: str) -> Sign:
        return signed(Signer(access, secret, self.installation.s3["AWS_REGION"]))

    def person(self, name: str, roles: tuple[str, ...] = ("member",)) -> Person:
        """A new user in a new project."""
        tenant = self.admin.tenant(name, roles)
        user = self.log_in(tenant)
        return Person(tenant, user, self.signer(tenant.access, tenant.secret), with_token(user.token))

    def log_in(self, tenant: Tenant) -> Keystone:
        """Another token of a tenant's user."""
        auth = {"username": tenant.user_name, "password": tenant.password, "project_name": tenant.project_name}
        self.users.append(Keystone.log_in(self.installation, auth))
        return self.users[-1]

    def identity(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call as administrator."""
        return self.admin.call(method, path, body)

    # --- as the owner

    def s3(
        self, line: Line, method: str, target: str, body: bytes | str = b"", headers: Headers | None = None
    ) -> Answer:
        """A signed request of the owner that must succeed."""
        data = body.encode() if isinstance(body, str) else body
        digest = {"content-md5": base64.b64encode(hashlib.md5(data).digest()).decode()} if data else {}
        return good(line.ask(self.owner.s3, method, target, data, {**digest, **(headers or {})}), f"{method} {target}")

    def swift(self, line: Line, method: str, path: str, body: bytes = b"", headers: Headers | None = None) -> Answer:
        """A request below the owner's account that must succeed."""
        target = self.owner.account + path
        return good(line.ask(self.owner.swift, method, target, body, headers), f"{method} {path}")

    def bucket(self, line: Line, headers: Headers | None = None, **documents: str) -> str:
        """The path of a new bucket with an object `k` in it; `documents` are sub-resources to put."""
        path = f"/{self.name()}"
        self.s3(line, "PUT", path, headers=headers)
        for name, text in documents.items():
            self.s3(line, "PUT", f"{path}?{name}=", text)
        self.s3(line, "PUT", f"{path}/k", b"data")
        return path

    def anyone_may(self, path: str, **fields: Any) -> str:
        """A policy that lets everyone read objects of a bucket."""
        return self.policy(path, "Allow", "*", **fields)

    @staticmethod
    def policy(path: str, effect: str, principal: Any, action: str = "s3:GetObject", **fields: Any) -> str:
        statement = {"Effect": effect, "Principal": principal, "Action": action,
                     "Resource": f"arn:aws:s3:::{path[1:]}/*", **fields}  # fmt: skip
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def good(answer: Answer, what: str) -> Answer:
    """The answer if it is a success."""
    assert answer.status < 300, f"{what}: {answer.status} {answer.body[:500]!r}"
    return answer


Make = Callable[[Scene, Line], Fact]
FACTS: dict[str, Make] = {}


def fact(make: Make) -> Make:
    """Register a maker of facts under its name."""
    FACTS[make.__name__] = make
    return make
