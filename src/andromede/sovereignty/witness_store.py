"""Rows of witnesses. Times are integer microseconds UTC; keys are vkeys, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from andromede.db import Database, Row, Tx

Read = Tx | Database


def trust(read: Read, names: Sequence[str]) -> list[Row]:
    """(name, keys) of the rules with one of these names, the longest name first."""
    marks = ", ".join("?" * len(names))
    return read.all(f"SELECT name, keys FROM witness_trust WHERE name IN ({marks}) ORDER BY length(name) DESC", names)


def trusts(read: Read) -> list[Row]:
    """(name, keys, url, added, logs cosigned, newest cosignature) of every rule."""
    return read.all(
        "SELECT t.name, t.keys, t.url, t.added, count(m.origin), max(m.cosigned) FROM witness_trust t "
        "LEFT JOIN witness_memory m ON m.trust = t.name GROUP BY t.name, t.keys, t.url, t.added ORDER BY t.name"
    )


def put_trust(tx: Tx, name: str, keys: str, url: str, now: int) -> None:
    """Store a rule."""
    tx.run(
        "INSERT INTO witness_trust (name, keys, url, added) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET keys = excluded.keys, url = excluded.url, added = excluded.added",
        (name, keys, url, now),
    )


def drop_trust(tx: Tx, name: str) -> int:
    """Remove a rule. What was cosigned under it stays remembered: trusted again, a log must extend it."""
    return tx.run("DELETE FROM witness_trust WHERE name = ?", (name,))


def memory(read: Read, origin: str) -> Row | None:
    """(size, root, note) of the last cosigned checkpoint."""
    return read.one("SELECT size, root, note FROM witness_memory WHERE origin = ?", (origin,))


def memory_by_hash(read: Read, origin_hash: str) -> str | None:
    """The last cosigned checkpoint, with the cosignatures."""
    row = read.one("SELECT note FROM witness_memory WHERE hash = ?", (origin_hash,))
    return str(row[0]) if row else None


def memories(read: Read, rule: str) -> int:
    """How many logs are remembered under a rule."""
    row = read.one("SELECT count(*) FROM witness_memory WHERE trust = ?", (rule,))
    return int(row[0]) if row else 0


def insert_memory(tx: Tx, values: Row) -> bool:
    """Remember the first checkpoint of a log: (origin, hash, trust, size, root, note, cosigned). False when another
    was remembered meanwhile."""
    return (
        tx.run(
            "INSERT INTO witness_memory (origin, hash, trust, size, root, note, cosigned) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO NOTHING",
            values,
        )
        == 1
    )


def update_memory(tx: Tx, values: Row) -> bool:
    """Remember the next one: (size, root, note, cosigned, origin, old size). False when `old` is no longer the
    remembered size."""
    return (
        tx.run(
            "UPDATE witness_memory SET size = ?, root = ?, note = ?, cosigned = ? WHERE origin = ? AND size = ?", values
        )
        == 1
    )


def add_evidence(tx: Tx, origin: str, now: int, request: bytes, known: str) -> None:
    """Keep a refused request that the log signed, with the note that was cosigned before."""
    tx.run(
        "INSERT INTO witness_evidence (origin, at_us, answer, request, known) VALUES (?, ?, 422, ?, ?)",
        (origin, now, request, known),
    )


def evidence_of(tx: Tx, origin: str) -> list[Row]:
    """(id, request) of what is kept of one log, oldest first."""
    return tx.all("SELECT id, request FROM witness_evidence WHERE origin = ? ORDER BY id", (origin,))


def drop_evidence(tx: Tx, number: int) -> None:
    """Make room."""
    tx.run("DELETE FROM witness_evidence WHERE id = ?", (number,))


def evidence(read: Read) -> list[Row]:
    """(id, origin, instant, request, note cosigned before) of every refused request that is kept."""
    return read.all("SELECT id, origin, at_us, request, known FROM witness_evidence ORDER BY id")


def own(read: Read) -> list[Row]:
    """(name, keys) of the witness that this memory belongs to."""
    return read.all("SELECT name, keys FROM witness_self")


def put_own(tx: Tx, name: str, keys: str, now: int) -> None:
    """Bind the memory to a witness's keys."""
    tx.run("DELETE FROM witness_self")
    tx.run("INSERT INTO witness_self (name, keys, added) VALUES (?, ?, ?)", (name, keys, now))


def peers(read: Read) -> list[Row]:
    """(url, name, keys, ca, run_by, added) of the witnesses that the operator named."""
    return read.all("SELECT url, name, keys, ca, run_by, added FROM witness_peer ORDER BY name, url")


def put_peer(tx: Tx, values: Row) -> None:
    """Store (url, name, keys, ca, run_by, added)."""
    tx.run(
        "INSERT INTO witness_peer (url, name, keys, ca, run_by, added) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (url) DO UPDATE SET name = excluded.name, keys = excluded.keys, ca = excluded.ca, "
        "run_by = excluded.run_by, added = excluded.added",
        values,
    )


def drop_peer(tx: Tx, url: str) -> int:
    """Remove a witness and what is remembered of it."""
    tx.run("DELETE FROM witness_view WHERE url = ?", (url,))
    return tx.run("DELETE FROM witness_peer WHERE url = ?", (url,))


def views(read: Read) -> list[Row]:
    """(origin, url, size, cosigned, tried, failures, error) of every log and witness."""
    return read.all("SELECT origin, url, size, cosigned, tried, failures, error FROM witness_view ORDER BY origin, url")


def put_views(tx: Tx, rows: Iterable[Row]) -> None:
    """Store rows as `views` gives them."""
    tx.many(
        "INSERT INTO witness_view (origin, url, size, cosigned, tried, failures, error) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (origin, url) DO UPDATE SET size = excluded.size, cosigned = excluded.cosigned, "
        "tried = excluded.tried, failures = excluded.failures, error = excluded.error",
        rows,
    )


def drop_views(tx: Tx, urls: Sequence[str]) -> None:
    """Forget what witnesses that are asked no more remembered."""
    tx.many("DELETE FROM witness_view WHERE url = ?", [(url,) for url in urls])


def halts(read: Read) -> list[Row]:
    """(origin, url, reason, note, since) of logs that may not be signed."""
    return read.all("SELECT origin, url, reason, note, since FROM witness_halt ORDER BY origin")


def put_halt(tx: Tx, origin: str, url: str, reason: str, note: str, now: int) -> None:
    """Forbid to sign a log; the first reason stays."""
    tx.run(
        "INSERT INTO witness_halt (origin, url, reason, note, since) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (origin) DO NOTHING",
        (origin, url, reason, note, now),
    )


def drop_halt(tx: Tx, origin: str) -> int:
    """Let a log be checked and signed again."""
    return tx.run("DELETE FROM witness_halt WHERE origin = ?", (origin,))


def policy_bodies(read: Read) -> list[Row]:
    """(tenant, lines) of every stored policy."""
    return read.all("SELECT tenant, body FROM ledger_policy")


def cosignatures(read: Read, origin: str, size: int) -> str | None:
    """The cosignature lines of a stored checkpoint; None when its row is gone."""
    row = read.one("SELECT cosignatures FROM ledger_checkpoint WHERE origin = ? AND size = ?", (origin, size))
    return str(row[0]) if row else None


def put_cosignatures(tx: Tx, origin: str, size: int, lines: str) -> None:
    """Replace the cosignature lines of a stored checkpoint."""
    tx.run("UPDATE ledger_checkpoint SET cosignatures = ? WHERE origin = ? AND size = ?", (lines, origin, size))
