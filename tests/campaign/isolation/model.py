"""The rules of access once more, as plainly as they can be written: no part of the program takes part.

Sources: "How Amazon S3 authorizes a request", "Policy evaluation logic", "IAM JSON policy elements", "Access control
list (ACL) overview", "Blocking public access", "Controlling ownership of objects" (AWS); "Container ACLs" (OpenStack
Swift); and for what is this house's own (projects for accounts, roles, the order of the doors) docs/access.md.
A world is plain data, so that it can be printed: see `worlds`.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from typing import Any

World = dict[str, Any]
Ask = dict[str, Any]
"""who: None or {project, user, roles}; action; key: None or text; context: condition keys of the request."""

OWNER = "0wner"
ALL = "http://acs.amazonaws.com/groups/global/AllUsers"
SIGNED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
READS = {
    "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:GetObjectTagging", "s3:ListBucket",
    "s3:ListBucketVersions", "s3:GetBucketAcl", "s3:GetBucketPolicy", "s3:GetBucketTagging",
}  # fmt: skip
WRITES = {
    "s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:DeleteObject", "s3:DeleteObjectVersion",
    "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:DeleteBucket",
}  # fmt: skip
ON_BUCKET = {"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketAcl", "s3:GetBucketPolicy", "s3:GetBucketTagging",
             "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:DeleteBucket"}  # fmt: skip
OF_THE_OBJECTS_OWNER = {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:PutObjectAcl"}
BUCKET_GRANTS = {
    "READ": {"s3:ListBucket", "s3:ListBucketVersions"},
    "WRITE": {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"},
    "READ_ACP": {"s3:GetBucketAcl"},
    "WRITE_ACP": {"s3:PutBucketAcl"},
}
OBJECT_GRANTS = {
    "READ": {"s3:GetObject", "s3:GetObjectVersion"},
    "WRITE": set(),
    "READ_ACP": {"s3:GetObjectAcl"},
    "WRITE_ACP": {"s3:PutObjectAcl"},
}


# --- roles
def may_by_role(who: Any, action: str) -> bool:
    """What a project lets the holder of these roles do with what is the project's own."""
    roles = set(who["roles"]) if who else set()
    if roles & {"admin", "manager", "member"}:
        return True
    return "reader" in roles and action in READS


# --- patterns
def like(pattern: str, text: str) -> bool:
    """`*` is any run of characters, `?` any one of them."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(like(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and like(pattern[1:], text[1:])


def filled(pattern: str, keys: Ask, literal: bool = False) -> list[str] | None:
    """The pattern as a list of characters, where those that came from a variable match themselves only: written as
    a pair. None: a variable has no value."""
    out, at = [], 0
    for found in re.finditer(r"\$\{([^}]*)\}", pattern):
        out += [("?" if c == "?" else "*" if c == "*" else c + c) if not literal else c + c
                for c in pattern[at : found.start()]]  # fmt: skip
        name = found.group(1)
        value = name if name in ("*", "?", "$") else keys.get(name.lower())
        if not isinstance(value, str):
            return None
        out += [c + c for c in value]
        at = found.end()
    return out + [("?" if c == "?" else "*" if c == "*" else c + c) if not literal else c + c for c in pattern[at:]]


def fits(pattern: str, text: str, keys: Ask) -> bool:
    """A pattern with variables against a text."""
    parts = filled(pattern, keys)
    return parts is not None and _fits(parts, text)


def _fits(parts: list[str], text: str) -> bool:
    reached = {0}
    for part in parts:
        if part == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and (part == "?" or part[0] == text[at])}
    return len(text) in reached


# --- conditions
def instant(text: str) -> dt.datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return dt.datetime.fromtimestamp(float(text), dt.UTC)
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[-+]?\d+(\.\d+)?", text) else None


def in_range(have: str, want: str) -> bool:
    address, net = ipaddress.ip_address(have), ipaddress.ip_network(want, strict=False)
    if address.version == 6 and address.ipv4_mapped:  # type: ignore[union-attr]
        address = address.ipv4_mapped  # type: ignore[union-attr,assignment]
    return address.version == net.version and address in net


def one_test(operator: str, have: str, want: str, keys: Ask) -> bool:
    """The operator without its negation, on one value of each side."""
    base = operator.replace("Not", "", 1)
    if base.startswith("String"):
        if base == "StringLike":
            return fits(want, have, keys)
        parts = filled(want, keys, literal=True)
        text = None if parts is None else "".join(part[0] for part in parts)
        return text is not None and (have.lower() == text.lower() if "IgnoreCase" in base else have == text)
    if base.startswith("Arn"):
        mine, theirs = have.split(":", 5), want.split(":", 5)
        if len(mine) != 6:
            return False
        return want == "*" or (len(theirs) == 6 and all(fits(w, h, keys) for h, w in zip(mine, theirs, strict=True)))
    if base == "Bool":
        return have.lower() == want.lower()
    if base == "IpAddress":
        return in_range(have, want)
    one: Any = instant(have) if base.startswith("Date") else number(have)
    two: Any = instant(want) if base.startswith("Date") else number(want)
    if one is None or two is None:
        return False
    return bool({
        "Equals": one == two, "LessThan": one < two, "LessThanEquals": one <= two, "GreaterThan": one > two,
        "GreaterThanEquals": one >= two,
    }[base.removeprefix("Date").removeprefix("Numeric")])  # fmt: skip


def condition_holds(operator: str, key: str, wants: list[str], keys: Ask) -> bool:
    quantifier, _, operator = operator.rpartition(":")
    have = keys.get(key.lower() if "/" not in key else key.split("/", 1)[0].lower() + "/" + key.split("/", 1)[1])
    if operator == "Null":
        return str(have is None).lower() in [want.lower() for want in wants]
    if_exists, operator = operator.endswith("IfExists"), operator.removesuffix("IfExists")
    negated = "Not" in operator
    if have is None:
        return if_exists or quantifier == "ForAllValues" or (negated and not quantifier)
    values = [have] if isinstance(have, str) else list(have)
    matched = [any(one_test(operator, value, want, keys) for want in wants) for value in values]
    if quantifier == "ForAllValues":
        return not any(matched) if negated else all(matched)
    if quantifier == "ForAnyValue":
        return not all(matched) if negated else any(matched)
    return not any(matched) if negated else any(matched)


# --- policies
def names(principal: Any, ask: Ask) -> str:
    """How a principal element speaks of the caller: not at all, of everyone, of the project or of the very user."""
    who, found = ask["who"], "not"
    if principal == "*":
        return "everyone"
    for kind, raw in principal.items():
        for value in [raw] if isinstance(raw, str) else raw:
            if kind == "AWS" and value == "*":
                found = "everyone" if found != "user" else found
            elif who is None or kind == "Service":
                continue
            elif ":user/" in value:
                project, user = value.removeprefix("arn:aws:iam::").split(":user/")
                if (who["project"], who["user"]) == (project, user):
                    found = "user"
            elif value.removeprefix("arn:aws:iam::").removesuffix(":root") == who["project"] and found == "not":
                found = "project"
    return found


def speaks_of(statement: dict[str, Any], ask: Ask) -> str:
    if "NotPrincipal" in statement:
        return "everyone" if names(statement["NotPrincipal"], ask) == "not" else "not"
    return names(statement["Principal"], ask)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def concerns(statement: dict[str, Any], ask: Ask, keys: Ask) -> bool:
    """Do action, resource and all conditions fit?"""
    actions = _listed(statement.get("Action", statement.get("NotAction")))
    if any(like(a.lower(), ask["action"].lower()) for a in actions) == ("NotAction" in statement):
        return False
    arn = "arn:aws:s3:::box" + (f"/{ask['key']}" if ask["key"] is not None else "")
    resources = _listed(statement.get("Resource", statement.get("NotResource")))
    if any(fits(r, arn, keys) or r == "*" for r in resources) == ("NotResource" in statement):
        return False
    return all(
        condition_holds(operator, key, _listed(wants), keys)
        for operator, block in statement.get("Condition", {}).items()
        for key, wants in block.items()
    )


def condition_keys(world: World, ask: Ask) -> Ask:
    who, keys = ask["who"], {key.lower(): value for key, value in ask["context"].items()}
    keys["s3:resourceaccount"] = keys["aws:resourceaccount"] = world["owner"]
    keys["aws:principaltype"] = "User" if who else "Anonymous"
    keys["aws:userid"] = who["user"] if who else "anonymous"
    if who:
        keys["aws:username"] = who.get("name", f"name-{who['user']}")
        keys["aws:principalarn"] = f"arn:aws:iam::{who['project']}:user/{who['user']}"
        keys["aws:principalaccount"] = who["project"]
    if world["object"] is not None and ask["key"] is not None:
        for name, value in world["object"]["tags"].items():
            keys[f"s3:existingobjecttag/{name}"] = value
    return keys


FIXED = {"aws:sourceip", "aws:principalarn", "aws:principalaccount", "aws:userid"}


def is_public(policy: list[dict[str, Any]]) -> bool:
    """An Allow for everyone, which no condition ties to fixed addresses, accounts or users."""

    def ties(operator: str, key: str, wants: list[str]) -> bool:
        key = key.lower()
        if key not in FIXED or operator not in {
            "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress",
        }:  # fmt: skip
            return False
        if key == "aws:sourceip":
            nets = [ipaddress.ip_network(want, strict=False) for want in wants]
            return operator == "IpAddress" and all(net.prefixlen >= (8 if net.version == 4 else 32) for net in nets)
        return not any(c in want for want in wants for c in ("*", "?", "${"))

    for statement in policy:
        principal = statement.get("Principal")
        everyone = principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS", [])))
        tied = any(
            ties(operator, key, _listed(wants))
            for operator, block in statement.get("Condition", {}).items()
            for key, wants in block.items()
        )
        if statement["Effect"] == "Allow" and everyone and not tied:
            return True
    return False


# --- ACLs
def granted(acl: dict[str, Any], who: Any, groups_count: bool) -> set[tuple[str, bool]]:
    """(permission, by a group) of the caller."""
    held = set()
    for grantee, permission in acl["grants"]:
        group = grantee.startswith("http")
        if group:
            holds = groups_count and (grantee == ALL or (grantee == SIGNED and who is not None))
        else:
            holds = who is not None and who["project"] == grantee
        if holds:
            each = ["READ", "WRITE", "READ_ACP", "WRITE_ACP"] if permission == "FULL_CONTROL" else [permission]
            held |= {(name, group) for name in each}
    return held


def referred(entries: list[str], referer: str | None) -> bool:
    """Swift's `.r:` entries in order, the last that fits wins."""
    found = re.match(r"[a-z]+://([^/:]+)", referer or "")
    host, allowed = (found.group(1).lower() if found else "unknown"), False
    for entry in entries:
        if not entry.startswith(".r:"):
            continue
        name = entry.removeprefix(".r:")
        minus, name = name.startswith("-"), name.removeprefix("-")
        if name == "*" or name == host or (name.startswith(".") and host.endswith(name)):
            allowed = not minus
    return allowed


def listed_member(entries: list[str], who: Any, owner: str) -> bool:
    for entry in entries:
        if who is None or entry.startswith("."):
            continue
        if ":" in entry:
            project, user = entry.split(":")
            if project in ("*", who["project"]) and user in ("*", who["user"]):
                return True
        elif who["project"] == owner and entry in who["roles"]:
            return True
    return False


def by_swift(world: World, ask: Ask, groups_count: bool) -> bool:
    who, action = ask["who"], ask["action"]
    read = [entry for entry in world["read"].split(",") if entry]
    write = [entry for entry in world["write"].split(",") if entry]
    if action in ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions"):
        if listed_member(read, who, world["owner"]):
            return True
        lists = action.startswith("s3:List")
        if groups_count and (not lists or ".rlistings" in read) and referred(read, ask["context"].get("aws:Referer")):
            return True
    writes = {"s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging"}
    return action in writes and listed_member(write, who, world["owner"])


# --- the whole
def allowed(world: World, ask: Ask) -> bool:
    """One rule after the other, as docs/access.md lists them."""
    who, action, policy = ask["who"], ask["action"], world["policy"]
    keys, thing = condition_keys(world, ask), world["object"] if ask["key"] is not None else None
    inside = who is not None and who["project"] == world["owner"]
    manages = inside and bool(set(who["roles"]) & {"admin", "manager"})
    for statement in policy:
        kept = manages and action in ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy")
        speaks = statement["Effect"] == "Deny" and speaks_of(statement, ask) != "not"
        if speaks and concerns(statement, ask, keys) and not kept:
            return False
    if who is not None and "ResellerAdmin" in who["roles"]:
        return True
    enforced = world["ownership"] == "BucketOwnerEnforced"
    decides = world["owner"]
    if thing is not None and action in OF_THE_OBJECTS_OWNER and not enforced:
        decides = thing["owner"]
    if who is not None and who["project"] == decides and may_by_role(who, action):
        return True
    if inside or not (world["restrict"] and is_public(policy)):
        for statement in policy:
            how = speaks_of(statement, ask)
            may = (how == "project" and may_by_role(who, action)) or how in ("everyone", "user")
            if statement["Effect"] == "Allow" and may and concerns(statement, ask, keys):
                return True
    if not enforced:
        lists = [(BUCKET_GRANTS, world["acl"])]
        if thing is not None:
            lists.append((OBJECT_GRANTS, thing["acl"]))
        for table, acl in lists:
            for permission, group in granted(acl, who, not world["ignore"]):
                if action in table[permission] and (group or may_by_role(who, action)):
                    return True
    return by_swift(world, ask, not world["ignore"])
