"""Builders of containers, versions and callers for tests of access."""

from __future__ import annotations

import json
from typing import Any

from andromede.objects.model import Attributes, Container, Version, Versioning
from andromede.web.actor import Actor

OWNER, OTHER = "0wner", "0ther"


def actor(project: str | None = OWNER, user: str = "u1", roles: tuple[str, ...] = ("member",)) -> Actor:
    """A caller scoped to a project."""
    return Actor(user, f"name-{user}", "default", frozenset(roles), project_id=project, via="ec2")


def container(
    name: str = "box", generation: int = 1, documents: dict[str, bytes] | None = None, **settings: str
) -> Container:
    """A container of OWNER; settings with `_` for `-`."""
    return Container(
        id=1, project_id=OWNER, name=name, s3_name=name, owner_id=OWNER, created_us=1, generation=generation,
        versioning=Versioning.OFF, lock_enabled=False, documents=documents or {},
        settings={key.replace("_", "-"): value for key, value in settings.items()},
    )  # fmt: skip


def version(owner: str = OWNER, acl: bytes | None = None, tags: dict[str, str] | None = None) -> Version:
    """The current version of key `k`."""
    return Version(
        id="v1", container_id=1, key="k", seq=1, is_null=True, is_latest=True, size=3, etag="e" * 32, checksum=None,
        parts=0, owner_id=owner, created_us=5, attributes=Attributes(acl=acl, tags=tags or {}),
    )  # fmt: skip


def policy(*statements: dict[str, Any]) -> bytes:
    """A policy document; each statement is completed to an Allow for everyone on everything in `box`."""
    base = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::box", "arn:aws:s3:::box/*"],
    }
    done = []
    for statement in statements:
        merged = {**base, **statement}
        for name in ("Principal", "Action", "Resource"):
            if f"Not{name}" in statement:
                merged.pop(name)
        done.append(merged)
    return json.dumps({"Version": "2012-10-17", "Statement": done}).encode()
