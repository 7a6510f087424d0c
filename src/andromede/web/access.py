"""Access rules as data: an action is allowed when one of its grants holds; an action without a rule is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from andromede.web.actor import Actor
from andromede.web.routes import Target

Scope = Literal["public", "any", "role", "cloud", "domain", "project", "self"]


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may: a role held in a scope.

    `public`: anyone, without a credential. `any`: any credential. `role`: the role in any scope.
    `cloud`: the role on the system, or
    role `admin` on a project. `domain`, `project`: the role in a credential scoped to the target's
    domain or project. `self`: the target belongs to the caller. `note` says what the target's resolver
    checks besides.
    """

    scope: Scope
    role: str = ""
    note: str = ""

    def held(self, actor: Actor) -> bool:
        """Whether the caller's role and kind of scope fit, whatever the target."""
        if self.scope in ("public", "any", "self"):
            return True
        if self.scope == "cloud":
            return (actor.system and self.role in actor.roles) or is_cloud_admin(actor)
        if self.role not in actor.roles:
            return False
        if self.scope == "role":
            return True
        return (actor.domain_id if self.scope == "domain" else actor.project_id) is not None

    def matches(self, actor: Actor, target: Target) -> bool:
        """Whether the grant holds for this caller on this target."""
        if not self.held(actor):
            return False
        if self.scope == "domain":
            return target.domain_id is not None and target.domain_id == actor.domain_id
        if self.scope == "project":
            return target.project_id is not None and target.project_id == actor.project_id
        if self.scope == "self":
            return target.user_id is not None and target.user_id == actor.user_id
        return True

    def text(self) -> str:
        """One cell of the printed table."""
        words = {
            "public": "anyone, unauthenticated",
            "any": "any authenticated user",
            "role": f"{self.role} in any scope",
            "cloud": f"{self.role} on the system (or admin on a project)",
            "domain": f"{self.role} on the target's domain",
            "project": f"{self.role} on the target's project",
            "self": "the user concerned",
        }
        return words[self.scope] + (f" ({self.note})" if self.note else "")


def is_cloud_admin(actor: Actor) -> bool:
    """Role `admin` on the system or on any project manages the whole installation, as in OpenStack's
    secure role-based access, phase 1."""
    return "admin" in actor.roles and (actor.system or actor.project_id is not None)


@dataclass(frozen=True, slots=True)
class Reach:
    """What part of a list a caller may see; filters of SQL, never of finished lists."""

    everything: bool = False
    domain_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None


class AccessTable:
    """The rules of all services, by action."""

    def __init__(self, rules: Mapping[str, tuple[Grant, ...]]) -> None:
        self.rules = dict(rules)

    def grants(self, action: str) -> tuple[Grant, ...]:
        """The grants of an action; none for an unknown one."""
        return self.rules.get(action, ())

    def admits(self, actor: Actor, action: str) -> bool:
        """Whether the action is allowed to the caller on some target at least."""
        return any(grant.held(actor) for grant in self.grants(action))

    def allows(self, actor: Actor, action: str, target: Target) -> bool:
        """Whether the action is allowed to the caller on this target."""
        return any(grant.matches(actor, target) for grant in self.grants(action))

    def reach(self, actor: Actor, action: str) -> Reach:
        """The widest part of a list that the caller may see under this action."""
        held = {grant.scope for grant in self.grants(action) if grant.held(actor)}
        if held & {"public", "any", "role", "cloud"}:
            return Reach(everything=True)
        return Reach(
            domain_id=actor.domain_id if "domain" in held else None,
            project_id=actor.project_id if "project" in held else None,
            user_id=actor.user_id if "self" in held else None,
        )

    def table(self) -> list[tuple[str, str]]:
        """(action, who) rows in order, for printing."""
        return [
            (action, "; or ".join(grant.text() for grant in grants) or "nobody")
            for action, grants in sorted(self.rules.items())
        ]
