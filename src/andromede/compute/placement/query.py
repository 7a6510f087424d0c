"""What clients ask of lists and of candidates. A parameter that is not known at a microversion is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from andromede.compute.placement.books import dashed
from andromede.errors import Invalid
from andromede.web.call import Call

PlacementCall = Call[Any]
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Z0-9_]{1,255}")
_OLD, _NEW = re.compile(r"[1-9][0-9]{0,9}"), re.compile(r"[a-zA-Z0-9_-]{1,64}")
BAD, TWICE, MISSING = "placement.query.bad_value", "placement.query.duplicate_key", "placement.query.missing_value"
MOST_GROUPS = 20


@dataclass(slots=True)
class Group:
    """One part of a request: what must lie together. `any_of`: of each set one trait; `member_of`: of each set one
    aggregate."""

    suffix: str = ""
    resources: dict[str, int] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    any_of: list[set[str]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    member_of: list[set[str]] = field(default_factory=list)
    not_member_of: set[str] = field(default_factory=set)
    in_tree: str | None = None

    def traits(self) -> set[str]:
        """Every trait that is named."""
        return self.required.union(self.forbidden, *self.any_of)

    def suits(self, traits: set[str]) -> bool:
        """Whether these traits are what is wanted."""
        return self.required <= traits and all(each & traits for each in self.any_of) and not self.forbidden & traits

    def belongs(self, aggregates: set[str]) -> bool:
        """Whether these aggregates are what is wanted."""
        return all(each & aggregates for each in self.member_of) and not self.not_member_of & aggregates


@dataclass(slots=True)
class Asked:
    """A whole request for candidates."""

    groups: dict[str, Group]
    isolate: bool = False
    limit: int = 1000
    root: Group = field(default_factory=Group)
    subtrees: list[set[str]] = field(default_factory=list)


def at(call: PlacementCall, minor: int) -> bool:
    """Whether the call is of microversion 1.`minor` or a later one."""
    return (call.microversion or (1, 0)) >= (1, minor)


def uuid(text: str, name: str) -> str:
    """A UUID in a query."""
    if not _UUID.fullmatch(text):
        raise Invalid(f"Invalid query string parameters: {name}={text!r} is not a UUID", BAD)
    return dashed(text)


def resources(text: str) -> dict[str, int]:
    """`VCPU:1,MEMORY_MB:512`"""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or not _NAME.fullmatch(name) or not re.fullmatch(r"[1-9]\d{0,9}", amount) or name in found:
            raise Invalid(f"Badly formed resources parameter: {text!r}; the form is VCPU:1,MEMORY_MB:512", BAD)
        found[name] = int(amount)
    return found


def traits(call: PlacementCall, text: str, into: Group, forbid: int = 22) -> None:
    """`A,B,!C` (from 1.22) or `in:A,B` (from 1.39)."""
    if text.startswith("in:"):
        if not at(call, 39):
            raise Invalid(f"Invalid query string parameters: required={text!r}", BAD)
        into.any_of.append({_trait(each, text) for each in text[3:].split(",")})
        return
    for part in text.split(","):
        if part.startswith("!") and at(call, forbid):
            into.forbidden.add(_trait(part[1:], text))
        else:
            into.required.add(_trait(part, text))
    if both := into.required & into.forbidden:
        raise Invalid(f"Conflicting required and forbidden traits: {', '.join(sorted(both))}", BAD)


def _trait(name: str, text: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(f"Invalid query string parameters: required={text!r} holds no trait's name", BAD)
    return name


def member_of(call: PlacementCall, text: str, into: Group) -> None:
    """A UUID, `in:` and several, or either after `!` (from 1.32)."""
    against = text.startswith("!") and at(call, 32)
    rest = text[1:] if against else text
    each = rest[3:].split(",") if rest.startswith("in:") else [rest]
    found = {uuid(one, "member_of") for one in each}
    if against:
        into.not_member_of |= found
    else:
        into.member_of.append(found)


def single(call: PlacementCall, name: str) -> str | None:
    """A parameter that may come once."""
    values = call.query.all(name)
    if len(values) > 1:
        raise Invalid(f"Invalid query string parameters: {name} is given {len(values)} times", TWICE)
    return values[0] if values else None


def _several(call: PlacementCall, name: str, minor: int) -> list[str]:
    """A parameter that may be repeated from 1.`minor` on."""
    if at(call, minor):
        return call.query.all(name)
    one = single(call, name)
    return [] if one is None else [one]


def only(call: PlacementCall, *known: str) -> None:
    """Refuse parameters that are not known."""
    for name, _ in call.query:
        if name not in known:
            raise Invalid(f"Invalid query string parameters: Additional properties are not allowed ('{name}')", BAD)


def providers(call: PlacementCall) -> tuple[Group, str | None, str | None]:
    """(what providers must have, name, uuid) of a list."""
    known = ["name", "uuid"]
    known += [name for name, minor in (("member_of", 3), ("resources", 4), ("in_tree", 14), ("required", 18))
              if at(call, minor)]  # fmt: skip
    only(call, *known)
    group = Group()
    for each in _several(call, "member_of", 24):
        member_of(call, each, group)
    if (text := single(call, "resources")) is not None:
        group.resources = resources(text)
    for each in _several(call, "required", 39):
        traits(call, each, group)
    if (text := single(call, "in_tree")) is not None:
        group.in_tree = uuid(text, "in_tree")
    asked = single(call, "uuid")
    return group, single(call, "name"), None if asked is None else uuid(asked, "uuid")


_PARTS = {"resources": 10, "required": 17, "member_of": 21, "in_tree": 31}


def candidates(call: PlacementCall) -> Asked:
    """A request for candidates."""
    asked = Asked({})
    for name, text in call.query:
        if name == "limit" and at(call, 16):
            asked.limit = call.integer("limit", 1, 10**9) or 1
        elif name == "group_policy" and at(call, 25) and text in ("none", "isolate"):
            asked.isolate = text == "isolate"
        elif name == "root_required" and at(call, 35):
            traits(call, text, asked.root)
        elif name == "same_subtree" and at(call, 36):
            asked.subtrees.append(set(text.split(",")))
        else:
            _part(call, asked, name, text)
    _whole(call, asked)
    return asked


def _part(call: PlacementCall, asked: Asked, name: str, text: str) -> None:
    word = next((each for each in _PARTS if name.startswith(each)), "")
    suffix = name[len(word) :]
    pattern = _NEW if at(call, 33) else _OLD
    if not word or not at(call, _PARTS[word]) or (suffix and (not at(call, 25) or not pattern.fullmatch(suffix))):
        raise Invalid(f"Invalid query string parameters: '{name}' is not possible here", BAD)
    group = asked.groups.setdefault(suffix, Group(suffix))
    again = len(call.query.all(name)) > 1
    if again and not (word == "member_of" and at(call, 24)) and not (word == "required" and at(call, 39)):
        raise Invalid(f"Invalid query string parameters: {name} is given twice", TWICE)
    if word == "resources":
        group.resources = resources(text)
    elif word == "required":
        traits(call, text, group)
    elif word == "member_of":
        member_of(call, text, group)
    else:
        group.in_tree = uuid(text, name)


def _whole(call: PlacementCall, asked: Asked) -> None:
    """What the parts must be together."""
    inside = set().union(*asked.subtrees) if asked.subtrees else set()
    if unknown := inside - set(asked.groups):
        raise Invalid(f"same_subtree names groups that are not there: {', '.join(sorted(unknown))}", BAD)
    if not any(group.resources for group in asked.groups.values()):
        raise Invalid("All request groups must specify resources: at least one 'resources' is needed", MISSING)
    for suffix, group in asked.groups.items():
        if not group.resources and suffix not in inside:
            raise Invalid(f"request group '{suffix}' has no resources{suffix}", MISSING)
    numbered = [suffix for suffix in asked.groups if suffix]
    if len(numbered) > 1 and call.query.get("group_policy") is None:
        raise Invalid("The 'group_policy' parameter is required when specifying more than one numbered group", MISSING)
    if len(asked.groups) > MOST_GROUPS:
        raise Invalid(f"at most {MOST_GROUPS} request groups are possible", BAD)
