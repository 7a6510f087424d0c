"""Who is to cosign which log: the witnesses with a URL in the policy that holds for its tenant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from andromede.clock import Clock
from andromede.db import Database
from andromede.errors import Invalid
from andromede.ledger.note import BadNote, Verifier
from andromede.ledger.policy import Policy, parse_policy
from andromede.sovereignty import policies
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_http import Link, check_url


@dataclass(frozen=True, slots=True)
class Member:
    """A witness that cosigns a log: all its keys that are known here, the names that the policy gives it, and
    whether the operator named it (the others are a tenant's choice)."""

    url: str
    keys: tuple[Verifier, ...]
    names: tuple[str, ...]
    ours: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """What the operator told of a witness beside its line in the policy."""

    url: str
    name: str
    keys: tuple[Verifier, ...]
    ca: str
    run_by: str


@lru_cache(1024)
def _parsed(body: str) -> Policy:
    return parse_policy(body)


def peers(db: store.Read) -> dict[str, Peer]:
    """The operator's witnesses by URL."""
    found = {}
    for url, name, keys, ca, run_by, _ in store.peers(db):
        found[str(url)] = Peer(url, name, tuple(map(Verifier.parse, str(keys).splitlines())), ca, run_by)
    return found


class Circle:
    """The policies and peers as they were read last. `load` reads them again."""

    def __init__(self, db: Database, clock: Clock, private: bool) -> None:
        self._db = db
        self._clock = clock
        self._private = private
        self._bodies: Mapping[str, str] = {}
        self._peers: Mapping[str, Peer] = {}
        self._members: dict[str, tuple[Member, ...]] = {}
        self._ours: frozenset[str] = frozenset()
        self.urls: frozenset[str] = frozenset()
        """Every witness that is asked about anything."""

    def load(self) -> bool:
        """Read policies and peers; whether anything changed."""
        bodies = {str(tenant): str(body) for tenant, body in store.policy_bodies(self._db)}
        found = peers(self._db)
        if bodies == self._bodies and found == self._peers:
            return False
        self._bodies, self._peers, self._members = bodies, found, {}
        try:
            default = _parsed(bodies.get(policies.DEFAULT, policies.NOBODY))
        except BadNote:
            default = Policy()
        self._ours = frozenset({*found, *(url.rstrip("/") for url in default.urls.values())})
        self.urls = frozenset(member.url for tenant in bodies for member in self.members(tenant))
        return True

    def policy(self, tenant: str) -> Policy:
        """The policy of a tenant without its logs; an empty one where a stored one cannot be read."""
        body = self._bodies.get(tenant, self._bodies.get(policies.DEFAULT, policies.NOBODY))
        try:
            return _parsed(body)
        except BadNote:
            return Policy()

    def members(self, tenant: str) -> tuple[Member, ...]:
        """The witnesses to ask about a tenant's log."""
        key = tenant if tenant in self._bodies else policies.DEFAULT
        if key not in self._members:
            self._members[key] = self._find(self.policy(key))
        return self._members[key]

    def _find(self, policy: Policy) -> tuple[Member, ...]:
        by_url: dict[str, list[str]] = {}
        for name, url in policy.urls.items():
            by_url.setdefault(url.rstrip("/"), []).append(name)
        found = []
        for url, names in by_url.items():
            keys = [policy.witnesses[name] for name in names]
            peer = self._peers.get(url)
            if peer is not None and any(key in peer.keys for key in keys):
                keys += [key for key in peer.keys if key not in keys]
            if self._callable(url):
                found.append(Member(url, tuple(keys), tuple(names), url in self._ours))
        return tuple(found)

    def _callable(self, url: str) -> bool:
        try:
            check_url(url, self._guarded(url))
        except Invalid:
            return False
        return True

    def _guarded(self, url: str) -> bool:
        return url not in self._ours and not self._private

    def link(self, url: str, seconds: float) -> Link:
        """How to call a witness."""
        peer = self._peers.get(url)
        return Link(url, self._clock, peer.ca if peer else "", self._guarded(url), seconds)

    def peer(self, url: str) -> Peer | None:
        """What the operator told of a witness."""
        return self._peers.get(url)


def tenant_url(read: store.Read, private: bool) -> Callable[[str], None]:
    """The check of a URL that a tenant gives, for `policies.checked`: raises `Invalid` unless it is an https URL of a
    public place, or one of the operator's own witnesses."""

    def check(url: str) -> None:
        check_url(url, guarded=not private and url.rstrip("/") not in peers(read))

    return check
