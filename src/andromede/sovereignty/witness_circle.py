"""Who is to cosign which log: the witnesses with a URL in the policy that holds for its tenant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


@lru_cache(128)
def _policy(body: str) -> Policy:
    """The policy of these lines; an empty one where they cannot be read."""
    try:
        return parse_policy(body)
    except BadNote:
        return Policy()


def peers(db: store.Read) -> dict[str, Peer]:
    """The operator's witnesses by URL."""
    found = {}
    for url, name, keys, ca, run_by, _ in store.peers(db):
        found[str(url)] = Peer(url, name, tuple(map(Verifier.parse, str(keys).splitlines())), ca, run_by)
    return found


@dataclass(frozen=True, slots=True)
class _State:
    """One reading. `members` is filled as it is asked for."""

    bodies: Mapping[str, str] = field(default_factory=dict)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()
    members: dict[str, tuple[Member, ...]] = field(default_factory=dict)


class Circle:
    """The policies and peers as they were read last. `load` reads them again; safe from many threads."""

    def __init__(self, db: Database, clock: Clock, private: bool) -> None:
        self._db = db
        self._clock = clock
        self._private = private
        self._state = _State()
        self.stop = threading.Event()
        """Set at the end of the process: calls that are under way end."""
        self.urls: frozenset[str] = frozenset()
        """Every witness that is asked about anything."""

    def load(self) -> bool:
        """Read policies and peers; whether anything changed."""
        bodies = {str(tenant): str(body) for tenant, body in store.policy_bodies(self._db)}
        found = peers(self._db)
        if bodies == self._state.bodies and found == self._state.peers:
            return False
        default = _policy(bodies.get(policies.DEFAULT, policies.NOBODY))
        ours = frozenset({*found, *(url.rstrip("/") for url in default.urls.values())})
        self._state = _State(bodies, found, ours)
        self.urls = frozenset(member.url for tenant in bodies for member in self.members(tenant))
        return True

    def policy(self, tenant: str) -> Policy:
        """The policy of a tenant without its logs; an empty one where a stored one cannot be read."""
        bodies = self._state.bodies
        return _policy(bodies.get(tenant, bodies.get(policies.DEFAULT, policies.NOBODY)))

    def members(self, tenant: str) -> tuple[Member, ...]:
        """The witnesses to ask about a tenant's log."""
        state = self._state
        key = tenant if tenant in state.bodies else policies.DEFAULT
        if key not in state.members:
            state.members[key] = self._find(state, _policy(state.bodies.get(key, policies.NOBODY)))
        return state.members[key]

    def _find(self, state: _State, policy: Policy) -> tuple[Member, ...]:
        by_url: dict[str, list[str]] = {}
        for name, url in policy.urls.items():
            by_url.setdefault(url.rstrip("/"), []).append(name)
        found = []
        for url, names in by_url.items():
            keys = [policy.witnesses[name] for name in names]
            peer = state.peers.get(url)
            if peer is not None and any(key in peer.keys for key in keys):
                keys += [key for key in peer.keys if key not in keys]
            if self._callable(url, state):
                found.append(Member(url, tuple(keys), tuple(names), url in state.ours))
        return tuple(found)

    def _callable(self, url: str, state: _State) -> bool:
        try:
            check_url(url, not self._private and url not in state.ours)
        except Invalid:
            return False
        return True

    def link(self, url: str, seconds: float) -> Link:
        """How to call a witness."""
        state = self._state
        peer = state.peers.get(url)
        guarded = not self._private and url not in state.ours
        return Link(url, self._clock, peer.ca if peer else "", guarded, seconds, stop=self.stop)

    def peer(self, url: str) -> Peer | None:
        """What the operator told of a witness."""
        return self._state.peers.get(url)


def tenant_url(read: store.Read, private: bool) -> Callable[[str], None]:
    """The check of a URL that a tenant gives, for `policies.checked`: raises `Invalid` unless it is an https URL of a
    public place, or one of the operator's own witnesses."""

    def check(url: str) -> None:
        check_url(url, guarded=not private and url.rstrip("/") not in peers(read))

    return check
