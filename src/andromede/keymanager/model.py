"""Values of the key manager (Key Manager API v1). Times are integer microseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

UNLIMITED = -1
RESOURCES = ("secrets", "orders", "containers", "consumers", "cas")
"""What quotas count."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret. `content_type`: text/plain or a binary type, None without a payload. `sealed`: the payload under its
    data key, `IV[12] ‖ ciphertext ‖ tag`. `name` is None where the client gave none."""

    id: str
    project_id: str
    creator_id: str
    name: str | None
    secret_type: str
    algorithm: str | None
    bit_length: int | None
    mode: str | None
    content_type: str | None
    sealed: bytes | None = field(repr=False)
    metadata: dict[str, str]
    created_us: int
    updated_us: int
    expiration_us: int | None


@dataclass(frozen=True, slots=True)
class Container:
    """A named group of secrets; `type` is generic, rsa or certificate."""

    id: str
    project_id: str
    creator_id: str
    name: str | None
    type: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Member:
    """A secret in a container."""

    container_id: str
    position: int
    name: str | None
    secret_id: str


@dataclass(frozen=True, slots=True)
class Consumer:
    """Somebody who told that it uses a secret or container; `facts` as it told them."""

    id: str
    owner_id: str
    project_id: str
    facts: dict[str, str]
    created_us: int


@dataclass(frozen=True, slots=True)
class Order:
    """A key that the key manager made by itself. `type`: key or asymmetric."""

    id: str
    project_id: str
    creator_id: str
    type: str
    meta: dict[str, Any]
    secret_id: str | None
    container_id: str | None
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Acl:
    """Who besides the project may read: the users named, and the project's own members if `project_access`."""

    owner_id: str
    project_access: bool
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A project's own limits, by resource; a resource that is absent has the default."""

    project_id: str
    limits: dict[str, int]
