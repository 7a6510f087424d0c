"""What the evaluator is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from andromede.objects.model import Container, Version
from andromede.web.actor import Actor

Context = Mapping[str, "str | tuple[str, ...]"]
"""Condition keys of the request (`aws:Referer`, `s3:prefix`, ...); a tuple holds a multi-valued key."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a scoped signature (presigned, tempurl, formpost) may reach at most; it never widens a right.

    `container_name` None: every container of the project. `key` with `prefix` False names one object,
    with `prefix` True all keys that begin with it."""

    project_id: str
    container_name: str | None
    key: str | None
    prefix: bool
    actions: frozenset[str]


class AccessRequest(msgspec.Struct, frozen=True):
    """One question: may `actor` (None: anonymous) do `action` on the container, or on `key` in it?

    `version`: the existing version that the action concerns, None when there is none; its owner, ACL and
    tags take part. `service` names a part of the system that acts for itself (log delivery)."""

    actor: Actor | None
    action: str
    container: Container
    key: str | None = None
    version: Version | None = None
    context: Context = msgspec.field(default_factory=dict)
    narrowing: Narrowing | None = None
    service: str | None = None

    @property
    def label(self) -> str:
        """`container` or `container/key`, for messages."""
        return self.container.name if self.key is None else f"{self.container.name}/{self.key}"

    @property
    def in_owner_project(self) -> bool:
        """The caller's credential is scoped to the project that owns the container."""
        return self.actor is not None and self.actor.project_id == self.container.project_id


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and the rule that gave it."""

    allowed: bool
    reason: str
