"""Whatever a server answers: never a traceback, and never "fine" for a tree that is not the true one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from andromede.ledger import tree
from andromede.ledger.note import checkpoint_fields, split_note
from tests.support.monitoring import Tenant
from tests.support.tenantlog import TenantLog
from tests.support.verifier import reader

PLACES = ("/checkpoint", "/policy", "/status", "/events", "/tile/entries", "/tile/0", "/consistency")


def changed(body: bytes, how: str, at: int, value: int) -> bytes:
    at %= max(len(body), 1)
    if how == "flip" and body:
        return body[:at] + bytes([body[at] ^ (value % 255 + 1)]) + body[at + 1 :]
    if how == "cut":
        return body[:at]
    if how == "insert":
        return body[:at] + bytes([value]) + body[at:]
    return body[:at] + body


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_change_of_any_answer(tenant: Tenant, data: st.DataObject) -> None:
    honest, log = tenant.wire.tamper, tenant.log
    other = Tenant(log, Path(tempfile.mkdtemp(dir=tenant.folder.parent)) / "m")
    if data.draw(st.booleans()):  # in the first round, or in a later one
        other.round()
        log.record(3)
    log.sequence()
    place, how = data.draw(st.sampled_from(PLACES)), data.draw(st.sampled_from(("flip", "cut", "insert", "double")))
    at, value = data.draw(st.integers(0, 10_000)), data.draw(st.integers(0, 255))
    other.wire.tamper = lambda path, status, body: (status, changed(body, how, at, value) if place in path else body)
    found = other.round()
    if found.code == 0 and found.facts["size"]:
        size = checkpoint_fields(split_note(other.state["note"])[0])[1]
        assert size == log.state().size
        own = tenant_root(other, found.facts["size"])
        assert own == true_root(log, found.facts["size"])
    other.wire.tamper = honest
    assert other.round().code in (0, 1, 3)  # 1: a lie may have been pinned in the first round


def tenant_root(tenant: Tenant, size: int) -> bytes:
    raw = (tenant.folder / "leaves").read_bytes()
    leaves = [raw[n : n + 32] for n in range(0, len(raw), 32)]
    return tree.subtree(reader(leaves), 0, size)


def true_root(log: TenantLog, size: int) -> bytes:
    state = log.state()
    return tree.subtree(log.logs.hashes(state.origin), 0, size)
