"""Swift container ACLs (`X-Container-Read`, `X-Container-Write`).

Source: Object Storage API, "Access Control Lists". Entries, separated by commas: `.r:*`, `.r:<host>`,
`.r:.<domain>`, `.r:-<host>` (in order, the last that fits wins), `.rlistings`, `<project>:<user>` with ids
or `*` on either side, and a bare role name (of the owner project).
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from functools import lru_cache

from andromede.errors import Invalid
from andromede.web.actor import Actor

MAX_CHARACTERS = 8192


@dataclass(frozen=True, slots=True)
class SwiftAcl:
    """A parsed list. `referrers`: hosts in order, negated ones with a leading `-`."""

    referrers: tuple[str, ...] = ()
    listings: bool = False
    members: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def public(self) -> bool:
        """Does it open the container to whoever sends (or leaves out) a Referer header?"""
        return any(not host.startswith("-") for host in self.referrers)

    def referred(self, referrer: str | None) -> bool:
        """May a request with this Referer header read?"""
        try:
            host = urllib.parse.urlsplit(referrer or "").hostname or "unknown"
        except ValueError:
            host = "unknown"
        allowed = False
        for entry in self.referrers:
            name = entry.removeprefix("-")
            if name == "*" or name == host or (name.startswith(".") and host.endswith(name)):
                allowed = not entry.startswith("-")
        return allowed

    def member(self, actor: Actor | None, owner_project: str) -> str | None:
        """The entry that names this caller, None when none does."""
        if actor is None:
            return None
        for project, user in self.members:
            if project in ("*", actor.project_id) and user in ("*", actor.user_id):
                return f"{project}:{user}"
        held = {role.lower() for role in actor.roles}
        if actor.project_id == owner_project:
            return next((role for role in self.roles if role.lower() in held), None)
        return None


def parse(text: str, *, write: bool = False) -> SwiftAcl:
    """Parse a header value; raises Invalid reason="swift_acl"."""
    if len(text) > MAX_CHARACTERS:
        raise _bad(f"it is longer than {MAX_CHARACTERS} characters")
    referrers: list[str] = []
    members: list[tuple[str, str]] = []
    roles: list[str] = []
    listings = False
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        if entry.startswith("."):
            if write:
                raise _bad(f"{entry[:64]!r} has no place in a write list")
            host = _referrer(entry)
            if host is None:
                listings = True
            else:
                referrers.append(host)
        elif ":" in entry:
            project, user = entry.split(":", 1)
            members.append((urllib.parse.unquote(project), urllib.parse.unquote(user)))
        else:
            roles.append(urllib.parse.unquote(entry))
    return SwiftAcl(tuple(referrers), listings, tuple(members), tuple(roles))


def _referrer(entry: str) -> str | None:
    if entry == ".rlistings":
        return None
    kind, colon, host = entry.partition(":")
    if kind.strip() not in (".r", ".ref", ".referer", ".referrer") or not colon:
        raise _bad(f"unknown entry {entry[:64]!r}")
    host = host.strip()
    minus = "-" if host.startswith("-") else ""
    host = host.removeprefix("-").strip()
    if host.startswith("*") and host != "*":
        host = host.removeprefix("*").strip()
    if not host or host == ".":
        raise _bad(f"no host in {entry[:64]!r}")
    return minus + host


def _bad(why: str) -> Invalid:
    return Invalid(f"The container ACL is not acceptable: {why}", "swift_acl")


@lru_cache(maxsize=4096)
def load(text: str) -> SwiftAcl:
    """The value of a stored list; one that no longer parses grants nothing."""
    try:
        return parse(text)
    except Invalid:
        return SwiftAcl()


def cleaned(text: str, *, write: bool = False) -> str:
    """The form in which a list is stored and shown: no blanks, `.r:` for all its aliases."""
    parse(text, write=write)
    entries = []
    for entry in (part.strip() for part in text.split(",")):
        if entry.startswith(".") and entry != ".rlistings":
            entries.append(f".r:{_referrer(entry)}")
        elif entry:
            entries.append(entry)
    return ",".join(entries)
