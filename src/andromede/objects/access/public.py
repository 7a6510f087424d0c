"""What counts as public, and the public access block.

Source: "Blocking public access to your Amazon S3 storage", "The meaning of 'public'" (S3 User Guide).
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from functools import lru_cache

from andromede.objects.access.conditions import Condition, network
from andromede.objects.access.policy import Policy, Statement

NAMES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_FIXING_KEYS = frozenset(
    ("aws:sourceip", "aws:sourcearn", "aws:sourceaccount", "aws:principalarn", "aws:principalaccount", "aws:userid")
)
_FIXING_OPERATORS = frozenset(
    ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress")
)


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """The four switches."""

    block_acls: bool = False
    ignore_acls: bool = False
    block_policy: bool = False
    restrict_buckets: bool = False

    def dump(self) -> bytes:
        """The stored form."""
        return json.dumps([self.block_acls, self.ignore_acls, self.block_policy, self.restrict_buckets]).encode()

    def items(self) -> tuple[tuple[str, bool], ...]:
        """The switches by their names in the S3 interface."""
        return tuple(
            zip(NAMES, (self.block_acls, self.ignore_acls, self.block_policy, self.restrict_buckets), strict=True)
        )


@lru_cache(maxsize=256)
def load(stored: bytes | None) -> PublicAccessBlock:
    """The value of a stored block; None: all off."""
    return PublicAccessBlock(*json.loads(stored)) if stored else PublicAccessBlock()


def policy_is_public(policy: Policy) -> bool:
    """Does any statement let in callers that nobody named?"""
    return any(_statement_is_public(statement) for statement in policy.statements)


def _statement_is_public(statement: Statement) -> bool:
    if not statement.allow or not any(p.kind == "any" for p in statement.principals):
        return False
    return not any(_fixes(condition) for condition in statement.conditions)


def _fixes(condition: Condition) -> bool:
    """Does the condition tie the statement to fixed callers?"""
    if condition.if_exists or condition.quantifier or condition.operator not in _FIXING_OPERATORS:
        return False
    if condition.key not in _FIXING_KEYS:
        return False
    if condition.key == "aws:sourceip":
        return condition.operator == "IpAddress" and all(_narrow(value) for value in condition.values)
    return not any(mark in value for value in condition.values for mark in ("*", "?", "${"))


def _narrow(value: str) -> bool:
    net = network(value)
    if net is None:
        return False
    return net.prefixlen >= (8 if isinstance(net, ipaddress.IPv4Network) else 32)
