"""Rounds over an honest installation: what is pinned, proved, kept and remembered."""

from __future__ import annotations

from tests.support.monitoring import Tenant


def test_an_honest_log_is_followed(tenant: Tenant) -> None:
    first = tenant.round()
    assert first.code == 0
    assert [one.kind for one in first.findings] == ["pinned", "unwitnessed"]
    assert tenant.log.state().origin in first.findings[0].text
    proved = first.facts["size"]
    assert proved >= 10
    for count in (1, 300, 700):
        tenant.log.record(count)
        tenant.log.sequence()
        found = tenant.round()
        assert (found.code, found.findings[0].kind) == (0, "unwitnessed")
        assert found.facts["size"] == tenant.log.state().size >= proved + count
        proved = found.facts["size"]
    assert not (tenant.folder / "evidence").exists()


def test_a_log_that_is_followed_comes_to_rest(tenant: Tenant) -> None:
    """Reading leaves an event. Reading that event would leave another one, for ever."""
    tenant.round()
    for _ in range(3):
        tenant.log.sequence()
        before = tenant.log.state().allocated
        assert tenant.kinds() == (0, set())
        assert tenant.log.state().allocated == before
    proved, seen = tenant.state["verified"], tenant.log.state().size
    assert proved < seen  # the trace of the first round waits; that it extends the log is proved
    tenant.log.record(1)
    tenant.log.sequence()
    assert tenant.round().facts["size"] == tenant.log.state().size
    tenant.log.sequence()
    tenant.clock.advance(3601)
    assert tenant.round().facts["size"] == tenant.log.state().size
