"""Who owns what is uploaded, and whether ACLs count at all.

Source: "Controlling ownership of objects and disabling ACLs" (S3 User Guide).
"""

from __future__ import annotations

from enum import StrEnum

from andromede.objects.access.acl import Acl
from andromede.objects.model import Container
from andromede.web.actor import Actor


class Ownership(StrEnum):
    """The values of ObjectOwnership. A bucket without the document behaves as ObjectWriter."""

    ENFORCED = "BucketOwnerEnforced"
    PREFERRED = "BucketOwnerPreferred"
    WRITER = "ObjectWriter"


def ownership(container: Container) -> Ownership:
    """The rule of a container; its document holds the bare value."""
    stored = container.documents.get("ownership")
    return Ownership(stored.decode()) if stored else Ownership.WRITER


def upload_owner(container: Container, actor: Actor | None, canned_acl: str | None) -> str:
    """The project that owns what `actor` uploads. What nobody signed belongs to the bucket's owner."""
    writer = actor.project_id if actor is not None else None
    rule = ownership(container)
    if writer is None or rule is Ownership.ENFORCED:
        return container.project_id
    if rule is Ownership.PREFERRED and canned_acl == "bucket-owner-full-control":
        return container.project_id
    return writer


def harmless(acl: Acl, bucket_owner: str) -> bool:
    """May a bucket with this ACL switch ACLs off (nobody but the owner holds a grant)?"""
    return all(not grant.group and grant.grantee == bucket_owner for grant in acl.grants)
