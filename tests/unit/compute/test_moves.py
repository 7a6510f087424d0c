"""Changes of size, as the list of migrations shows them."""

from __future__ import annotations

from typing import Any

from andromede.compute import actions
from tests.support.nova import NOTHING, Nova

OLD = {
    "id", "status", "instance_uuid", "source_node", "source_compute", "dest_node", "dest_compute", "dest_host",
    "old_instance_type_id", "new_instance_type_id", "created_at", "updated_at",
}  # fmt: skip


def done(nova: Nova, server: str, failed: bool = False) -> None:
    """The server's present work comes to its end."""
    nova.clock.advance(1)
    with nova.db.write() as tx:
        actions.finish(tx, server, nova.row(server).request_id, nova.clock.now_us(), failed)


def shown(nova: Nova, query: str = "", version: str | None = None) -> list[dict[str, Any]]:
    answer = nova.admin("GET", f"/os-migrations{query}", None, version)
    assert answer.status == 200, answer.raw
    return list(answer.json["migrations"])


def test_a_resize_is_one_from_its_beginning_to_its_end(nova: Nova) -> None:
    server = nova.active()
    assert shown(nova) == []
    nova.act(server, "resize", {"flavorRef": "tiny2"})
    (row,) = shown(nova)
    assert set(row) == OLD
    assert (row["instance_uuid"], row["status"], row["source_compute"]) == (server, "migrating", "h1")
    done(nova, server)
    assert shown(nova)[0]["status"] == "finished"
    nova.arrive(server, "verify_resize", before="active")
    nova.act(server, "revertResize")
    assert shown(nova)[0]["status"] == "reverting"
    done(nova, server)
    nova.arrive(server)
    nova.act(server, "resize", {"flavorRef": "tiny2"})
    assert [row["status"] for row in shown(nova)] == ["migrating", "reverted"]
    done(nova, server)
    nova.arrive(server, "verify_resize", before="active")
    nova.act(server, "confirmResize")
    done(nova, server)
    first, second = shown(nova, version="2.59")
    assert set(first) == {*OLD, "migration_type", "uuid"}
    assert (first["status"], second["status"], first["migration_type"]) == ("confirmed", "reverted", "resize")
    assert len({first["uuid"], second["uuid"], first["id"], second["id"]}) == 4
    nova.act(nova.arrive(server), "resize", {"flavorRef": "tiny2"})
    done(nova, server, failed=True)
    assert shown(nova)[0]["status"] == "error"
    assert nova.call("GET", "/os-migrations").status == 403


def test_every_filter_of_the_list_is_honoured(nova: Nova) -> None:
    server = nova.active()
    nova.act(server, "resize", {"flavorRef": "tiny2"})
    for query, count in (
        (f"instance_uuid={server}", 1), (f"instance_uuid={NOTHING}", 0), ("status=migrating", 1), ("status=done", 0),
        ("migration_type=resize", 1), ("migration_type=evacuation", 0), ("host=h1", 1), ("source_compute=x", 0),
        ("hidden=true", 0), ("hidden=false", 1),
    ):  # fmt: skip
        assert len(shown(nova, f"?{query}")) == count, query
    done(nova, server)
    nova.arrive(server, "verify_resize", before="active")
    nova.act(server, "confirmResize")
    done(nova, server)
    nova.act(nova.arrive(server), "resize", {"flavorRef": "tiny2"})
    answer = nova.admin("GET", "/os-migrations?limit=1", None, "2.59").json
    assert len(answer["migrations"]) == 1
    following = answer["migrations_links"][0]["href"].partition("/v2.1")[2]
    last = nova.admin("GET", following, None, "2.59").json
    assert [row["status"] for row in last["migrations"]] == ["confirmed"] and "migrations_links" not in last
    assert shown(nova, "?changes-since=2999-01-01T00:00:00Z", "2.59") == []
    assert nova.admin("GET", "/os-migrations?changes-since=x", None, "2.59").status == 400
    assert nova.admin("GET", f"/os-migrations?marker={NOTHING}", None, "2.59").status == 400
