"""Policies: the default, a tenant's own, and the shapes that commands keep."""

from __future__ import annotations

import pytest

from andromede import audit
from andromede.db import Database, migrate
from andromede.errors import Invalid
from andromede.ledger.note import COSIGNATURE, ED25519, Signer, Verifier
from andromede.ledger.policy import parse_policy
from andromede.sovereignty import policies, policy_schema
from andromede.sovereignty.policies import Named


def key(name: str, kind: int = COSIGNATURE) -> Verifier:
    return Signer(name, kind, name.encode().ljust(32, b"-")).verifier


def named(name: str, url: str = "") -> Named:
    return Named(name, key(name), url)


@pytest.fixture
def store(db: Database) -> Database:
    migrate(db, [*audit.MIGRATIONS, *policy_schema.MIGRATIONS])
    return db


def test_without_a_policy_nobody_is_needed(store: Database) -> None:
    assert policies.body(store, "p") == "quorum none\n"
    assert policies.parsed(store, "p").met(set())
    log = key("andromede-0/t/1", ED25519)
    whole = parse_policy(policies.text(store, "p", [log]))
    assert whole.logs == (log,) and whole.quorum == "none"


def test_the_default_holds_for_every_tenant_without_its_own(store: Database) -> None:
    with store.write() as tx:
        policies.add_witness(tx, "", named("one", "https://one.example/w"), 1)
    assert list(policies.parsed(store, "p").witnesses) == ["one"]
    assert policies.parsed(store, "p").urls == {"one": "https://one.example/w"}
    assert not policies.own(store, "p")
    with store.write() as tx:
        policies.store(tx, "p", "quorum none", 2)
    assert policies.own(store, "p") and policies.parsed(store, "p").witnesses == {}
    assert policies.names(store) == ["", "p"]
    with store.write() as tx:
        policies.reset(tx, "p")
    assert list(policies.parsed(store, "p").witnesses) == ["one"]


def test_witnesses_come_and_go_and_a_majority_stays_the_quorum(store: Database) -> None:
    with store.write() as tx:
        for name in ("one", "two", "three"):
            policies.add_witness(tx, "", named(name), 1)
        policies.add_witness(tx, "", named("three", "http://three.example"), 1)
    policy = policies.parsed(store, "")
    assert policy.members == {"witnesses": (2, ("one", "two", "three"))} and policy.quorum == "witnesses"
    assert policy.met({"one", "three"}) and not policy.met({"two"})
    with store.write() as tx:
        assert policies.remove_witness(tx, "", "two", 1)
        assert not policies.remove_witness(tx, "", "two", 1)
    assert policies.parsed(store, "").members == {"witnesses": (2, ("one", "three"))}
    with store.write() as tx:
        policies.remove_witness(tx, "", "one", 1)
        policies.remove_witness(tx, "", "three", 1)
    assert policies.parsed(store, "").quorum == "none"


def test_groups_of_the_operators_own_are_kept(store: Database) -> None:
    french = "".join(f"witness {name} {key(name)}\n" for name in ("a", "b", "c"))
    rules = "group french 2 a b c\ngroup all-of-it all french\nquorum all-of-it\n"
    with store.write() as tx:
        policies.store(tx, "", "# our rule\n" + french + rules, 1)
        policies.add_witness(tx, "", named("d", "https://d.example"), 1)
    policy = policies.parsed(store, "")
    assert policy.quorum == "all-of-it" and set(policy.witnesses) == {"a", "b", "c", "d"}
    assert policy.members["french"] == (2, ("a", "b", "c"))
    with store.write() as tx:
        assert policies.remove_witness(tx, "", "d", 1)
        with pytest.raises(Invalid, match="unknown"):
            policies.remove_witness(tx, "", "a", 1)


def test_lines_of_the_own_log_are_left_out_and_foreign_ones_refused() -> None:
    mine, other = key("andromede-0/t/1", ED25519), key("andromede-0/t/2", ED25519)
    assert policies.checked(f"log {mine}\nquorum none\n", [mine]) == "quorum none\n"
    with pytest.raises(Invalid, match="not this one"):
        policies.checked(f"log {other}\nquorum none\n", [mine])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no quorum line"),
        ("quorum who", "line 1"),
        ("witness w nonsense\nquorum none", "not a verifier key"),
        ("quorum none\n" + "#" * 70_000, "larger than"),
        (f"witness w {key('w')} ftp://x\nquorum none", "not an http"),
        (f"witness w {key('w')} http://{'x' * 2000}\nquorum none", "not an http"),
        ("".join(f"witness w{n} {key(f'w{n}')}\n" for n in range(33)) + "quorum none", "at most 32"),
        (f"witness {'n' * 300} {key('w')}\nquorum none", "too long"),
    ],
)
def test_bad_policies_are_refused_with_the_reason(given: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        policies.checked(given)


def test_each_url_is_shown_to_the_guard() -> None:
    seen: list[str] = []
    policies.checked(f"witness w {key('w')} http://w.example/\nquorum w\n", url=seen.append)
    assert seen == ["http://w.example/"]


@pytest.mark.parametrize(("quorum", "needed"), [("majority", 2), ("all", 3), ("any", 1), ("2", 2)])
def test_lists_become_policies(quorum: str, needed: int) -> None:
    policy = parse_policy(policies.simple([named("a"), named("b", "http://b"), named("c")], quorum))
    assert policy.members["witnesses"][0] == needed
    assert [one.name for one in policies.listed(policy)] == ["a", "b", "c"]


def test_odd_quorums_are_refused() -> None:
    assert policies.simple([], "majority") == "quorum none\n"
    assert parse_policy(policies.simple([named("a")], "none")).quorum == "none"
    for witnesses, quorum in (([named("a")], "most"), ([], "all"), ([], "1")):
        with pytest.raises(Invalid):
            policies.simple(witnesses, quorum)
