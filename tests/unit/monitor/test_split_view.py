"""A lying operator with two histories under one key: one for the witness, another for the tenant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.ledger import tree
from andromede.sovereignty import witness_store
from andromede.sovereignty.monitor.views import ask_witness
from andromede.sovereignty.witness_server import WitnessServer
from tests.support import verifier
from tests.support.monitoring import Tenant
from tests.support.witnesses import HttpWitness, restore, snapshot


class TwoFaced:
    """Shows the true history to a witness; goes back to an earlier state and tells the tenant another one."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.tenant, self.log = tenant, tenant.log
        self.origin = self.log.state().origin
        keys = self.log.logs.verifiers(self.origin)
        self.witness = HttpWitness(folder, "honest.example", keys)
        with self.witness.db.write() as tx:
            prefix = self.origin.partition("/")[0] + "/"
            witness_store.put_trust(tx, prefix, "\n".join(map(str, keys)), "", 0)
        self.witness.server = WitnessServer(self.witness.db, self.witness.keys, self.log.clock)
        named = self.witness.named
        listed = [{"name": named.name, "key": str(named.key), "url": named.url}]
        assert self.log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
        self.log.sequence()
        self.seen = 0

    def show_witness(self) -> int:
        """Have the newest checkpoint cosigned; its size."""
        size = self.log.state().size
        proof = self.log.logs.consistency(self.origin, self.seen, size)
        lines = "".join(f"{line}\n" for line in map(verifier.base64_text, proof))
        body = f"old {self.seen}\n{lines}\n{self.log.logs.checkpoint(self.origin)}"
        answer = self.witness.server.add_checkpoint(body.encode(), "127.0.0.1")
        assert answer.status == 200, answer.body
        self.seen = size
        return size

    def diverge(self, shown_to_witness: int, shown_to_tenant: int) -> None:
        before = snapshot(self.log.db)
        self.log.record(shown_to_witness, name="box/true")
        self.log.sequence()
        self.show_witness()
        restore(self.log.db, before)
        self.log.record(shown_to_tenant, name="box/false")
        self.log.sequence()


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path) -> Iterator[TwoFaced]:
    two = TwoFaced(tenant, tmp_path)
    tenant.opt(ask=ask_witness)
    tenant.limits(witness=10**9)
    two.show_witness()
    assert tenant.kinds() == (0, set())  # the witness's view, over HTTP, is the server's
    tenant.log.sequence()
    yield two
    two.witness.close()


def convicted(tenant: Tenant, kind: str, folder: Path) -> str:
    """What the offline verifier says to the evidence, with the keys that the tenant pinned."""
    (path,) = (tenant.folder / "evidence").glob(f"{kind}-*.json")
    (folder / "own.policy").write_text(tenant.state["policy"])
    done = verifier.run(["contradiction", str(path), "--policy", "own.policy"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_same_size_other_root(operator: TwoFaced, tenant: Tenant, tmp_path: Path) -> None:
    operator.diverge(5, 5)
    assert tenant.kinds() == (1, {"fork"})
    assert "two roots are signed" in convicted(tenant, "fork", tmp_path)
    first, second = tenant.evidence("fork")["notes"]
    assert (first["from"], second["from"]) == (f"{tenant.wire.site.url}/v1", operator.witness.url)


@pytest.mark.parametrize("ahead", [1, 27, 300])
def test_the_tenants_history_is_longer(operator: TwoFaced, tenant: Tenant, tmp_path: Path, ahead: int) -> None:
    operator.diverge(5, 5 + ahead)
    assert tenant.kinds() == (1, {"not-a-prefix"})
    assert "does not begin with the smaller" in convicted(tenant, "not-a-prefix", tmp_path)


def test_the_witness_has_seen_more(operator: TwoFaced, tenant: Tenant, tmp_path: Path) -> None:
    """Nothing that the server gives joins them; once it shows as much as the witness has, it is convicted."""
    operator.diverge(9, 4)
    assert tenant.kinds() == (1, {"rollback"})
    tenant.log.record(40, name="box/false-too")
    tenant.log.sequence()
    code, kinds = tenant.kinds()
    assert (code, kinds) == (1, {"not-a-prefix"})
    convicted(tenant, "not-a-prefix", tmp_path)


def test_less_is_shown_than_the_witness_has_seen(operator: TwoFaced, tenant: Tenant) -> None:
    """The histories agree, and the tenant is kept in the past: what a witness holds, the server has shown."""
    old = tenant.log.get("/checkpoint").raw
    tenant.log.record(3)
    tenant.log.sequence()
    operator.show_witness()
    tenant.wire.tamper = lambda path, status, body: (status, old if "/checkpoint" in path else body)
    assert tenant.kinds() == (1, {"rollback"})
    first, second = tenant.evidence("rollback")["notes"]
    assert (first["note"], second["from"]) == (old.decode(), operator.witness.url)


def test_a_witness_that_is_silent_or_lies_proves_nothing(operator: TwoFaced, tenant: Tenant) -> None:
    operator.witness.shows = False
    assert tenant.kinds() == (0, {"witness-unaware"})
    operator.witness.shows = True
    note = operator.log.logs.checkpoint(operator.origin) or ""

    def forged(url: str, path: str) -> str:
        return note.replace(note.split("\n")[2], verifier.base64_text(tree.EMPTY_ROOT))

    tenant.opt(ask=forged)
    assert tenant.kinds() == (3, {"witness-note"})
    operator.witness.close()
    tenant.opt(ask=ask_witness)
    assert tenant.kinds() == (0, {"witness-silent"})
