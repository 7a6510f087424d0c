"""Random buckets, callers and requests, as plain data. The same generator serves hypothesis and long runs."""

from __future__ import annotations

import random
from typing import Any

from tests.campaign.isolation.model import ALL, ON_BUCKET, OWNER, READS, SIGNED, WRITES, Ask, World

OTHER, THIRD = "0ther", "third"
PROJECTS, USERS = (OWNER, OTHER, THIRD), ("u1", "u2")
ROLES = ("member", "reader", "manager", "admin", "auditor", "service", "ResellerAdmin")
KEYS = ("a1", "b", "dir/a*", "u1/x", "${aws:userid}")
REFERERS = (None, "http://www.example.com/x", "https://bad.example.com/", "http://example.org:80/")
ADDRESSES = ("192.0.2.7", "198.51.100.9", "2001:db8::7", "::ffff:192.0.2.7")
PERMISSIONS = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL")
ACTIONS = tuple(sorted(READS | WRITES))
PATTERNS = ("*", "s3:*", "s3:Get*", "s3:?etObject", "s3:*Object*", "s3:List*", "S3:getobject", "s3:Put*Acl")
RESOURCES = (
    "*", "arn:aws:s3:::box", "arn:aws:s3:::box/*", "arn:aws:s3:::box/a?", "arn:aws:s3:::box/${aws:userid}/*",
    "arn:aws:s3:::b*", "arn:aws:s3:::box/dir/a${*}", "arn:aws:s3:::box*/b", "arn:aws:s3:::box/?*1",
)  # fmt: skip
TEXTS = {
    "aws:userid": (*USERS, "u?", "${aws:userid}", "anonymous"),
    "aws:username": ("name-u1", "name-*"),
    "aws:PrincipalAccount": PROJECTS,
    "aws:PrincipalType": ("User", "Anonymous"),
    "s3:prefix": ("a", "dir/", "${aws:userid}", "", "*"),
    "s3:x-amz-acl": ("private", "public-read", "bucket-owner-*"),
    "s3:ExistingObjectTag/level": ("open", "OPEN", "shut", "o*"),
    "s3:RequestObjectTagKeys": ("level", "owner", "l*"),
    "aws:Referer": ("http://www.example.com/*", "*bad*"),
    "s3:ResourceAccount": PROJECTS,
}
"""Condition keys of text with values that may fit."""
STRING_OPERATORS = ("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase",
                    "StringLike", "StringNotLike")  # fmt: skip
WRITERS = (f"{OTHER}:*", f"{THIRD}:u1", "*:u2", "auditor")
COMPARED = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")


def _some(rng: random.Random, values: Any, most: int) -> list[Any]:
    return [rng.choice(values) for _ in range(rng.randint(1, most))]


def _condition(rng: random.Random) -> tuple[str, str, list[str]]:
    kind = rng.choice(("string", "string", "string", "ip", "bool", "number", "date", "arn", "null", "sets"))
    if kind == "ip":
        nets = ("192.0.2.0/24", "198.51.100.9", "2001:db8::/32", "0.0.0.0/0", "192.0.0.0/8", "::/0")
        return rng.choice(("IpAddress", "NotIpAddress")), "aws:SourceIp", _some(rng, nets, 2)
    if kind == "bool":
        return "Bool", "aws:SecureTransport", [rng.choice(("true", "false", "TRUE"))]
    if kind == "number":
        return "Numeric" + rng.choice(COMPARED), "s3:max-keys", _some(rng, ("1", "10", "10.0", "1000"), 2)
    if kind == "date":
        times = ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "1767225600")
        return "Date" + rng.choice(COMPARED), rng.choice(("aws:CurrentTime", "aws:EpochTime")), _some(rng, times, 1)
    if kind == "arn":
        arns = (f"arn:aws:iam::{OTHER}:user/u1", "arn:aws:iam::*:user/u2", f"arn:aws:iam::{OTHER}:*", "*")
        operator = rng.choice(("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"))
        return operator, "aws:PrincipalArn", _some(rng, arns, 2)
    if kind == "null":
        return "Null", rng.choice(sorted(TEXTS)), [rng.choice(("true", "false"))]
    operator = rng.choice(STRING_OPERATORS)
    if kind == "sets":
        quantifier = rng.choice(("ForAllValues:", "ForAnyValue:"))
        return quantifier + operator, "s3:RequestObjectTagKeys", _some(rng, TEXTS["s3:RequestObjectTagKeys"], 2)
    key = rng.choice(sorted(TEXTS))
    return operator + ("IfExists" if rng.random() < 0.2 else ""), key, _some(rng, TEXTS[key], 2)


def _principal(rng: random.Random) -> Any:
    named = (
        "*", OTHER, THIRD, OWNER, f"arn:aws:iam::{THIRD}:root", f"arn:aws:iam::{OTHER}:user/u2",
        f"arn:aws:iam::{OWNER}:user/u1",
    )  # fmt: skip
    if rng.random() < 0.25:
        return "*"
    if rng.random() < 0.15:
        return {"CanonicalUser": rng.choice(PROJECTS)}
    values = _some(rng, named, 3)
    return {"AWS": values if len(values) > 1 else values[0]}


def statement(rng: random.Random) -> dict[str, Any]:
    deny = rng.random() < 0.4
    found: dict[str, Any] = {"Effect": "Deny" if deny else "Allow"}
    found["NotPrincipal" if deny and rng.random() < 0.25 else "Principal"] = _principal(rng)
    found["NotAction" if rng.random() < 0.15 else "Action"] = _some(rng, (*PATTERNS, *ACTIONS), 3)
    found["NotResource" if rng.random() < 0.15 else "Resource"] = _some(rng, RESOURCES, 2)
    if rng.random() < 0.5:
        conditions: dict[str, dict[str, list[str]]] = {}
        for _ in range(rng.randint(1, 2)):
            operator, key, values = _condition(rng)
            conditions.setdefault(operator, {})[key] = values
        found["Condition"] = conditions
    return found


def _acl(rng: random.Random, owner: str) -> dict[str, Any]:
    grants = [(owner, "FULL_CONTROL")] if rng.random() < 0.8 else []
    for _ in range(rng.choice((0, 0, 1, 2))):
        grants.append((rng.choice((ALL, SIGNED, OTHER, THIRD, OWNER)), rng.choice(PERMISSIONS)))
    return {"owner": owner, "grants": grants}


def _swift_read(rng: random.Random) -> str:
    entries = (
        ".r:*", ".r:-bad.example.com", ".r:.example.com", ".r:example.org", ".r:-.example.com", ".rlistings",
        f"{OTHER}:u1", f"{THIRD}:*", "*:u2", "*:*", "auditor", "service",
    )  # fmt: skip
    return ",".join(_some(rng, entries, 3)) if rng.random() < 0.5 else ""


def world(rng: random.Random) -> World:
    """A bucket `box` of OWNER with everything that decides about it, and perhaps an object."""
    owner = rng.choice((OWNER, OWNER, OTHER))
    thing = {"owner": owner, "acl": _acl(rng, owner), "tags": rng.choice(({}, {"level": "open"}, {"level": "shut"}))}
    return {
        "owner": OWNER,
        "policy": [statement(rng) for _ in range(rng.choice((0, 1, 1, 2, 3)))],
        "acl": _acl(rng, OWNER),
        "object": thing if rng.random() < 0.7 else None,
        "ownership": rng.choice((None, None, "ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced")),
        "ignore": rng.random() < 0.25,
        "restrict": rng.random() < 0.25,
        "read": _swift_read(rng),
        "write": ",".join(_some(rng, WRITERS, 2)) if rng.random() < 0.3 else "",
    }


def caller(rng: random.Random) -> Any:
    if rng.random() < 0.25:
        return None
    roles = [rng.choice(ROLES[:-1])] if rng.random() < 0.93 else [rng.choice(ROLES)]
    return {"project": rng.choice(PROJECTS), "user": rng.choice(USERS), "roles": roles}


def ask(rng: random.Random) -> Ask:
    """A request: the keys that a request may lack are lacking now and then."""
    action = rng.choice(ACTIONS)
    context: dict[str, Any] = {
        "aws:SourceIp": rng.choice(ADDRESSES), "aws:SecureTransport": rng.choice(("true", "false")),
        "aws:CurrentTime": "2026-03-01T12:00:00Z", "aws:EpochTime": "1772366400",
    }  # fmt: skip
    for key, values in (
        ("aws:Referer", REFERERS), ("s3:prefix", (None, "a", "dir/", "u1")), ("s3:max-keys", (None, "10", "many")),
        ("s3:x-amz-acl", (None, "private", "bucket-owner-read")),
        ("s3:RequestObjectTagKeys", (None, ("level",), ("level", "owner"), ("other",))),
    ):  # fmt: skip
        value = rng.choice(values)  # type: ignore[arg-type]
        if value is not None:
            context[key] = value
    return {
        "who": caller(rng), "action": action, "key": None if action in ON_BUCKET else rng.choice(KEYS),
        "context": context,
    }  # fmt: skip
