"""A witness over a database: cosigns what extends its memory (C2SP tlog-witness), for the logs that it trusts.

A trust rule names either one origin with its keys, or a prefix that ends in `/` with the two public keys of an
installation: every origin below the prefix is then known, and new tenants there need nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from andromede.clock import US, Clock
from andromede.db import Database
from andromede.errors import OverQuota
from andromede.ledger.note import Verifier, checkpoint_fields, split_note
from andromede.ledger.witness import Answer, Witness, known_signatures, origin_hash, parse_request
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_keys import WitnessKeys
from andromede.web.limiter import RateLimiter, caller

LARGEST_BODY = 256 * 1024
LOGS_PER_RULE = 100_000
KEPT_EVIDENCE = 16
CALLS_A_SECOND, CALLS_AT_ONCE = 300.0, 1000
_BLANK = "\n\n"
_BELOW = re.compile(r"[A-Za-z0-9._/-]{1,128}", re.ASCII)


def rule_names(origin: str) -> list[str]:
    """The names of rules that would cover an origin: itself, and its beginnings up to each `/`."""
    parts = origin.split("/")[:9]
    return [origin, *("/".join(parts[:n]) + "/" for n in range(1, len(parts)))]


class TrustedLogs:
    """The rules as a witness asks them. Reads rows, so that a change holds at once."""

    def __init__(self, db: Database, most: int = LOGS_PER_RULE) -> None:
        self._db = db
        self._most = most

    def rule(self, origin: str) -> tuple[str, list[Verifier]] | None:
        """(name, keys under the origin's name) of the rule that covers an origin."""
        if "\0" in origin:
            return None
        for name, text in store.trust(self._db, rule_names(origin)):
            keys = [Verifier.parse(line) for line in str(text).splitlines()]
            if name == origin:
                return str(name), keys
            if _BELOW.fullmatch(origin[len(name) :]):
                return str(name), [Verifier(origin, key.kind, key.public) for key in keys]
        return None

    def get(self, origin: str, /) -> Sequence[Verifier] | None:
        """The keys of an origin; None for an unknown one, or a new one where its rule already has its most."""
        found = self.rule(origin)
        if found is None:
            return None
        full = store.memory(self._db, origin) is None and store.memories(self._db, found[0]) >= self._most
        return None if full else found[1]


def _checkpoint_of(request: bytes) -> str:
    return split_note(parse_request(request.decode())[2])[0].rstrip("\n")


def _convicts(request: bytes) -> bool:
    """Whether a refused request shows another root of a size that was cosigned: no proof can mend that."""
    old, _, note = parse_request(request.decode())
    return old == checkpoint_fields(split_note(note)[0])[1]


class StoredMemory:
    """The witness's memory: durable before `advance` returns."""

    def __init__(self, db: Database, logs: TrustedLogs, clock: Clock) -> None:
        self._db = db
        self._logs = logs
        self._clock = clock

    def latest(self, origin: str) -> tuple[int, bytes, str] | None:
        row = store.memory(self._db, origin)
        return (int(row[0]), bytes(row[1]), str(row[2])) if row else None

    def advance(self, origin: str, old: int, size: int, root: bytes, note: str) -> bool:
        rule = self._logs.rule(origin)
        now = self._clock.now_us()
        with self._db.write() as tx:
            if store.memory(tx, origin) is None:
                name = rule[0] if rule else origin
                first = (origin, origin_hash(origin), name, size, root, note, now)
                return old == 0 and store.insert_memory(tx, first)
            return store.update_memory(tx, (size, root, note, now, origin, old))


class WitnessServer:
    """Answers the calls of tlog-witness. Safe from many threads."""

    def __init__(self, db: Database, keys: WitnessKeys, clock: Clock, most: int = LOGS_PER_RULE) -> None:
        self.keys = keys
        self._db = db
        self._clock = clock
        self._limits = RateLimiter(clock, CALLS_A_SECOND, CALLS_AT_ONCE)
        self._logs = TrustedLogs(db, most)
        self._witness = Witness(self._logs, keys.signers, StoredMemory(db, self._logs, clock))

    def _spend(self, peer: str) -> Answer | None:
        try:
            self._limits.take(caller(peer))
        except OverQuota as error:
            return Answer(429, f"too many calls from {peer}; try again in {error.detail['retry_after']} s\n")
        return None

    def add_checkpoint(self, raw: bytes, peer: str) -> Answer:
        """One `add-checkpoint` call from an address."""
        if limited := self._spend(peer):
            return limited
        try:
            body = raw.decode()
        except UnicodeDecodeError:
            return Answer(400, "the request is not UTF-8\n")
        answer = self._witness.add_checkpoint(body, lambda: self._clock.now_us() // US)
        if answer.status == 422:
            self._keep(body)
        return answer

    def _keep(self, body: str) -> None:
        """Keep what the log signed and what may contradict what it showed before, each checkpoint once and without
        what strangers added. Anybody can send a true checkpoint with a false proof: such a request does not take the
        place of one that convicts, another root of the remembered size."""
        note = parse_request(body)[2]
        origin, size, root = checkpoint_fields(split_note(note)[0])
        known = store.memory(self._db, origin)
        if known is not None and (int(known[0]), bytes(known[1])) == (size, root):
            return  # what was cosigned: the proof alone is wrong
        kept = known_signatures(note, self._logs.get(origin) or ())
        request = f"{body.partition(_BLANK)[0]}{_BLANK}{kept}".encode()
        with self._db.write() as tx:
            rows = [(int(row[0]), bytes(row[1])) for row in store.evidence_of(tx, origin)]
            if any(_checkpoint_of(old) == kept.partition(_BLANK)[0] for _, old in rows):
                return
            if len(rows) >= KEPT_EVIDENCE:
                weaker = [number for number, old in rows if not _convicts(old)]
                if not weaker:
                    return
                store.drop_evidence(tx, weaker[0])
            store.add_evidence(tx, origin, self._clock.now_us(), request, str(known[2]) if known else "")

    def latest(self, origin_hash_hex: str, peer: str) -> Answer:
        """The last checkpoint that was cosigned for the log whose origin has this SHA-256, for monitors."""
        if limited := self._spend(peer):
            return limited
        note = store.memory_by_hash(self._db, origin_hash_hex) if "\0" not in origin_hash_hex else None
        return Answer(404, "this witness has cosigned nothing of that log\n") if note is None else Answer(200, note)
