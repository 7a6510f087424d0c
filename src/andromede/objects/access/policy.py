"""Bucket policies: parsed once, matched often.

Source: "Bucket policies and user policies" (S3 User Guide), "IAM JSON policy reference". Everything that
this system would not enforce is refused when the policy is stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from andromede.errors import Invalid
from andromede.objects.access import actions, keys
from andromede.objects.access.conditions import Condition, split_operator, value_problem
from andromede.objects.access.patterns import Lookup, matches
from andromede.web.actor import Actor

MAX_BYTES = 20 * 1024
_STATEMENT_FIELDS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)
_ARN_S3 = "arn:aws:s3:::"
_ARN_IAM = "arn:aws:iam::"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a statement speaks of. `kind`: `any`, `project` (all its users), `user`, `service`."""

    kind: str
    id: str = ""
    project_id: str = ""

    def covers(self, actor: Actor | None, service: str | None) -> bool:
        """Is the caller (None: anonymous) this principal, or one of its users?"""
        if service is not None:
            return self.kind == "any" or (self.kind == "service" and self.id == service)
        if self.kind == "any":
            return True
        if actor is None or self.kind == "service":
            return False
        if self.kind == "project":
            return actor.project_id == self.id
        return actor.user_id == self.id and self.project_id in ("", actor.project_id)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a statement: caller, action, resource (`bucket` or `bucket/key`) and folded condition keys."""

    actor: Actor | None
    service: str | None
    action: str
    resource: str
    context: dict[str, str | tuple[str, ...]]

    def lookup(self, name: str) -> str | None:
        """The single value of a policy variable."""
        value = self.context.get(keys.folded(name))
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Patterns of `resources` are without the ARN's head."""

    sid: str
    allow: bool
    principals: tuple[Principal, ...]
    not_principals: bool
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[str, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def principal(self, ask: Ask) -> Principal | None:
        """The principal entry under which the statement speaks of the caller, the most particular one."""
        if self.not_principals:
            covered = any(p.covers(ask.actor, ask.service) for p in self.principals)
            return None if covered else Principal("any")
        found = [p for p in self.principals if p.covers(ask.actor, ask.service)]
        order = {"user": 0, "service": 0, "any": 1, "project": 2}
        return min(found, key=lambda p: order[p.kind]) if found else None

    def applies(self, ask: Ask) -> bool:
        """Do action, resource and conditions fit (whoever asks)?"""
        lookup: Lookup = ask.lookup
        action = ask.action.lower()
        if any(matches(pattern, action) for pattern in self.actions) == self.not_actions:
            return False
        if any(matches(pattern, ask.resource, lookup) for pattern in self.resources) == self.not_resources:
            return False
        return all(c.holds(ask.context.get(c.key), lookup) for c in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed bucket policy."""

    statements: tuple[Statement, ...]

    def denial(self, ask: Ask) -> Statement | None:
        """The first Deny that applies."""
        return next((s for s in self.statements if not s.allow and s.principal(ask) and s.applies(ask)), None)

    def allowances(self, ask: Ask) -> list[tuple[Statement, Principal]]:
        """Each Allow that applies, with the entry that names the caller."""
        found = []
        for statement in self.statements:
            principal = statement.principal(ask) if statement.allow else None
            if principal is not None and statement.applies(ask):
                found.append((statement, principal))
        return found


CLOSED = Policy((Statement("unreadable policy", False, (Principal("any"),), False, ("*",), False, ("*",), False, ()),))
"""What a policy becomes that can no longer be read."""


def malformed(why: str) -> Invalid:
    """The error of a policy that cannot be stored."""
    return Invalid(f"The bucket policy is not acceptable: {why}", "malformed_policy")


def parse(document: bytes, bucket: str, project_id: str) -> Policy:
    """Parse and check a policy for `bucket` of `project_id`; raises Invalid reason="malformed_policy"."""
    if len(document) > MAX_BYTES:
        raise malformed(f"it is longer than {MAX_BYTES} bytes; use fewer statements or wildcards")
    try:
        root = json.loads(document, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise malformed(f"it is not valid JSON ({str(error)[:80]})") from None
    if not isinstance(root, dict):
        raise malformed("it must be a JSON object")
    for name in root:
        if name not in ("Version", "Id", "Statement"):
            raise malformed(f"unknown field {name[:64]!r}")
    if root.get("Version", "2012-10-17") not in ("2012-10-17", "2008-10-17"):
        raise malformed("Version must be 2012-10-17 or 2008-10-17")
    if not isinstance(root.get("Id", ""), str):
        raise malformed("Id must be a string")
    listed = root.get("Statement")
    listed = [listed] if isinstance(listed, dict) else listed
    if not isinstance(listed, list) or not listed:
        raise malformed("Statement must hold at least one statement")
    return Policy(tuple(_statement(each, bucket, project_id) for each in listed))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON value")


def _statement(raw: Any, bucket: str, project_id: str) -> Statement:
    if not isinstance(raw, dict):
        raise malformed("each statement must be an object")
    for name in raw:
        if name not in _STATEMENT_FIELDS:
            raise malformed(f"unknown field {name[:64]!r} in a statement")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise malformed("Effect must be Allow or Deny")
    if not isinstance(raw.get("Sid", ""), str):
        raise malformed("Sid must be a string")
    principal, not_principal = _either(raw, "Principal")
    if not_principal and raw["Effect"] == "Allow":
        raise malformed("Allow with NotPrincipal would open the bucket to everyone else; name principals instead")
    action, not_action = _either(raw, "Action")
    resource, not_resource = _either(raw, "Resource")
    return Statement(
        sid=raw.get("Sid", ""),
        allow=raw["Effect"] == "Allow",
        principals=_principals(principal),
        not_principals=not_principal,
        actions=tuple(_action(each) for each in _strings(action, "Action")),
        not_actions=not_action,
        resources=tuple(_resource(each, bucket, project_id) for each in _strings(resource, "Resource")),
        not_resources=not_resource,
        conditions=_conditions(raw.get("Condition", {})),
    )


def _either(raw: dict[str, Any], name: str) -> tuple[Any, bool]:
    if (name in raw) == (f"Not{name}" in raw):
        raise malformed(f"a statement needs exactly one of {name} and Not{name}")
    return (raw[name], False) if name in raw else (raw[f"Not{name}"], True)


def _strings(raw: Any, name: str) -> list[str]:
    found = [raw] if isinstance(raw, str) else raw
    if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
        raise malformed(f"{name} must be a string or a list of strings")
    return found


def _principals(raw: Any) -> tuple[Principal, ...]:
    if raw == "*":
        return (Principal("any"),)
    if not isinstance(raw, dict) or not raw:
        raise malformed('Principal must be "*" or an object such as {"AWS": "arn:aws:iam::<project>:root"}')
    found: list[Principal] = []
    for kind, values in raw.items():
        for value in _strings(values, "Principal"):
            found.append(_principal(kind, value))
    return tuple(found)


def _principal(kind: str, value: str) -> Principal:
    if kind == "Service":
        return Principal("service", value)
    if kind == "CanonicalUser":
        return Principal("project", value)
    if kind != "AWS":
        raise malformed(f"unknown kind of principal {kind[:64]!r}; AWS, CanonicalUser and Service are known")
    if value == "*":
        return Principal("any")
    if not value.startswith("arn:"):
        if not value.replace("-", "").isalnum():
            raise malformed(f"principal {value[:128]!r} is neither an ARN nor a project id")
        return Principal("project", value)
    project, colon, rest = value.removeprefix(_ARN_IAM).partition(":")
    if not value.startswith(_ARN_IAM) or not colon:
        raise malformed(f"principal {value[:128]!r} is not of the form {_ARN_IAM}<project>:root or :user/<id>")
    if rest == "root" and project:
        return Principal("project", project)
    if rest.startswith("user/") and len(rest) > 5:
        return Principal("user", rest[5:], project)
    raise malformed(f"principal {value[:128]!r} must end in :root or :user/<id>")


def _action(text: str) -> str:
    folded = text.lower()
    if folded != "*" and not any(matches(folded, name.lower()) for name in actions.KNOWN):
        raise malformed(f"no action of this system matches {text[:128]!r}")
    return folded


def _resource(text: str, bucket: str, project_id: str) -> str:
    if text == "*":
        return "*"
    own = f"arn:aws:s3::{project_id}:"
    if not text.startswith((_ARN_S3, own)):
        raise malformed(f"resource {text[:128]!r} must begin with {_ARN_S3}")
    pattern = text.removeprefix(own) if text.startswith(own) else text.removeprefix(_ARN_S3)
    fixed = len(pattern)
    for mark in ("*", "?", "${"):
        at = pattern.find(mark)
        fixed = min(fixed, at) if at >= 0 else fixed
    literal, below = pattern[:fixed], f"{bucket}/"
    exact = pattern in (bucket,) or pattern.startswith(below)
    if not exact and not (fixed < len(pattern) and below.startswith(literal)):
        raise malformed(f"resource {text[:128]!r} cannot match bucket {bucket}")
    return pattern


def _conditions(raw: Any) -> tuple[Condition, ...]:
    if not isinstance(raw, dict):
        raise malformed("Condition must be an object")
    found = []
    for name, block in raw.items():
        known = split_operator(name)
        if known is None:
            raise malformed(f"unknown condition operator {name[:64]!r}")
        if not isinstance(block, dict) or not block:
            raise malformed(f"condition {name[:64]!r} must hold keys with values")
        for key, values in block.items():
            found.append(_condition(known, key, values))
    return tuple(found)


def _condition(known: tuple[str, str, bool], key: str, raw: Any) -> Condition:
    operator, quantifier, if_exists = known
    if not keys.known(key):
        raise malformed(f"condition key {key[:128]!r} is not one that requests carry here")
    listed = raw if isinstance(raw, list) else [raw]
    values = []
    for each in listed:
        if isinstance(each, bool):
            each = "true" if each else "false"
        if isinstance(each, int | float):
            each = str(each)
        if not isinstance(each, str):
            raise malformed(f"the values of condition key {key[:128]!r} must be strings")
        problem = value_problem(operator, each)
        if problem:
            raise malformed(f"{each[:128]!r} under {operator} for {key[:128]!r}: {problem}")
        values.append(each)
    return Condition(operator, quantifier, if_exists, keys.folded(key), tuple(values))
