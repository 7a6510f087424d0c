"""Values of the identity domain, one per table. Instants are integer microseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Project:
    """A project or, with `is_domain`, a domain (its own `domain_id` is then "")."""

    id: str
    name: str
    domain_id: str
    parent_id: str | None = None
    is_domain: bool = False
    enabled: bool = True
    description: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    """A person or service. `failures` counts wrong passwords since the last right one, the newest at `failed_us`."""

    id: str
    name: str
    domain_id: str
    enabled: bool = True
    default_project_id: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    failures: int = 0
    failed_us: int = 0


@dataclass(frozen=True, slots=True)
class Password:
    """One password of a user; the newest counts, the others are its history. `by_admin`: set by another than the
    user, so the minimum age does not hold for it."""

    id: int
    user_id: str
    hash: str
    created_us: int
    expires_us: int | None = None
    by_admin: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A set of users of any domain."""

    id: str
    name: str
    domain_id: str
    description: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Role:
    """A role; `domain_id` is "" for a global one. Domain roles never appear in tokens, only what they imply."""

    id: str
    name: str
    domain_id: str = ""
    description: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role of a `user` or `group` on a `project`, `domain` or the `system` (target id "all")."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationCredential:
    """A delegation of a user's own roles on one project to a program."""

    id: str
    user_id: str
    project_id: str
    name: str
    hash: str
    roles: list[str]
    description: str | None = None
    expires_us: int | None = None
    unrestricted: bool = False
    rules: list[str] | None = None


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A request that an application credential may make."""

    id: str
    user_id: str
    service: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that the service must be able to read (EC2, TOTP): `blob` is encrypted.
    `access` is the EC2 access key."""

    id: str
    user_id: str
    type: str
    blob: bytes
    project_id: str | None = None
    access: str | None = None
    trust_id: str | None = None
    app_credential_id: str | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """A delegation of roles on a project from one user to another."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    roles: list[str]
    project_id: str | None = None
    impersonation: bool = False
    expires_us: int | None = None
    deleted_us: int | None = None
    remaining_uses: int | None = None
    redelegated_trust_id: str | None = None
    redelegation_count: int = 0
    allow_redelegation: bool = False


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the catalog."""

    id: str
    description: str = ""
    parent_region_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the catalog."""

    id: str
    type: str
    name: str | None = None
    enabled: bool = True
    description: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of a service. `url` may hold {api}, {objects} (this installation's ports) and %(project_id)s."""

    id: str
    service_id: str
    interface: str
    url: str
    region_id: str | None = None
    enabled: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """A project's or domain's own limit in place of the registered one."""

    id: str
    service_id: str
    resource_name: str
    resource_limit: int
    region_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredLimit:
    """The default limit of a resource."""

    id: str
    service_id: str
    resource_name: str
    default_limit: int
    region_id: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A small record of a kind that the service only keeps (policy, endpoint group, consumer)."""

    id: str
    kind: str
    body: dict[str, Any]
    secret: bytes | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Tokens that no longer count: those with this audit id or chain, or of this user issued up to `issued_us`."""

    id: int
    issued_us: int
    expires_us: int
    audit_id: str | None = None
    chain_id: str | None = None
    user_id: str | None = None
