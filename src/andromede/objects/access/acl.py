"""S3 access control lists: an owner and grants. Stored as compact JSON, shown as XML by the S3 door.

Source: "Access control list (ACL) overview" (S3 User Guide). A project stands where AWS has an account.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED_USERS = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_SERVICE = "logging.s3.amazonaws.com"
"""The service that the group LogDelivery stands for."""
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = (ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY)
PUBLIC_GROUPS = (ALL_USERS, AUTHENTICATED_USERS)
MAX_GRANTS = 100

CANNED = (
    "private", "public-read", "public-read-write", "authenticated-read", "bucket-owner-read",
    "bucket-owner-full-control", "log-delivery-write", "aws-exec-read",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant. `grantee` is a project id, or with `group` True the URI of a group."""

    grantee: str
    permission: str
    group: bool = False


@dataclass(frozen=True, slots=True)
class Acl:
    """An owner (project id) and the grants in the order given."""

    owner: str
    grants: tuple[Grant, ...]

    @property
    def public(self) -> bool:
        """Does any grant reach beyond named projects?"""
        return any(grant.group and grant.grantee in PUBLIC_GROUPS for grant in self.grants)

    def dump(self) -> bytes:
        """The stored form."""
        rows = [[g.grantee, g.permission, g.group] for g in self.grants]
        return json.dumps({"owner": self.owner, "grants": rows}, separators=(",", ":")).encode()


def private(owner: str) -> Acl:
    """What an ACL is before anyone sets one."""
    return Acl(owner, (Grant(owner, "FULL_CONTROL"),))


@lru_cache(maxsize=4096)
def load(stored: bytes) -> Acl:
    """The value of a stored ACL."""
    raw = json.loads(stored)
    return Acl(raw["owner"], tuple(Grant(*row) for row in raw["grants"]))


def effective(stored: bytes | None, owner: str) -> Acl:
    """The stored ACL, or the private one of `owner`."""
    return load(stored) if stored else private(owner)


def canned(name: str, owner: str, bucket_owner: str) -> Acl | None:
    """The grants of a canned ACL for what `owner` owns in a bucket of `bucket_owner`; None: unknown name."""
    mine = Grant(owner, "FULL_CONTROL")
    extra: dict[str, tuple[Grant, ...]] = {
        "private": (),
        "public-read": (Grant(ALL_USERS, "READ", True),),
        "public-read-write": (Grant(ALL_USERS, "READ", True), Grant(ALL_USERS, "WRITE", True)),
        "authenticated-read": (Grant(AUTHENTICATED_USERS, "READ", True),),
        "bucket-owner-read": (Grant(bucket_owner, "READ"),) if bucket_owner != owner else (),
        "bucket-owner-full-control": (Grant(bucket_owner, "FULL_CONTROL"),) if bucket_owner != owner else (),
        "log-delivery-write": (Grant(LOG_DELIVERY, "WRITE", True), Grant(LOG_DELIVERY, "READ_ACP", True)),
        "aws-exec-read": (),
    }
    if name not in extra:
        return None
    grants = extra[name]
    groups_first = tuple(g for g in grants if g.group)
    return Acl(owner, (*groups_first, mine, *(g for g in grants if not g.group)))


def permissions(acl: Acl, project_id: str | None, member_of: tuple[str, ...]) -> list[tuple[str, Grant]]:
    """(permission, the grant that gives it) for a caller of this project who belongs to these groups."""
    held: list[tuple[str, Grant]] = []
    for grant in acl.grants:
        fits = grant.grantee in member_of if grant.group else project_id is not None and grant.grantee == project_id
        if fits:
            names = PERMISSIONS[1:] if grant.permission == "FULL_CONTROL" else (grant.permission,)
            held += [(name, grant) for name in names]
    return held
