"""Secrets over the API: every way in and out, who may, and that nothing of a payload stands in the database."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from andromede.errors import Denied, Fatal, Invalid, NotFound
from andromede.keymanager.secrets import id_of
from tests.support.cloud import Answer
from tests.support.hosted_api import Hosted

V11 = {"openstack-api-version": "key-manager 1.1"}
BASE = "/key-manager/v1/secrets"


def make(hosted: Hosted, token: str = "", **body: Any) -> str:
    """The id of a new secret."""
    answer = hosted.call("POST", BASE, token or hosted.member, body)
    assert answer.status == 201, answer.raw
    assert list(answer.json) == ["secret_ref"]
    ref = str(answer.json["secret_ref"])
    assert ref.startswith("http://cloud.test/key-manager/v1/secrets/")
    assert answer.headers["location"] == ref
    return ref.rpartition("/")[2]


def text(hosted: Hosted, payload: str = "hush", **more: Any) -> str:
    return make(hosted, payload=payload, payload_content_type="text/plain", **more)


def payload(hosted: Hosted, secret_id: str, accept: str | None = None, token: str = "") -> Answer:
    headers = {"accept": accept} if accept is not None else {}
    return hosted.call("GET", f"{BASE}/{secret_id}/payload", token or hosted.member, headers=headers)


def test_versions(hosted: Hosted) -> None:
    root = hosted.call("GET", "/key-manager/", None)
    assert root.status == 300
    (version,) = root.json["versions"]
    assert (version["id"], version["status"]) == ("v1", "CURRENT")
    assert (version["min_version"], version["max_version"]) == ("1.0", "1.1")
    assert version["links"][0]["href"] == "http://cloud.test/key-manager/v1/"
    assert hosted.call("GET", "/key-manager/v1", None).json == {"version": version}
    refused = hosted.call("GET", BASE, hosted.member, headers={"openstack-api-version": "key-manager 1.2"})
    assert refused.status == 406
    assert hosted.call("GET", BASE, hosted.member, headers=V11).headers["openstack-api-version"] == "key-manager 1.1"


def test_a_secret_in_one_step(hosted: Hosted) -> None:
    secret_id = text(hosted, name="  db password ", algorithm="aes", bit_length=256, mode="cbc",
                     secret_type="passphrase", expiration="2026-02-03T04:05:06")  # fmt: skip
    shown = hosted.call("GET", f"{BASE}/{secret_id}", hosted.member)
    assert shown.status == 200
    body = shown.json
    assert body.pop("creator_id")
    assert body == {
        "name": "db password", "secret_type": "passphrase", "algorithm": "aes", "bit_length": 256, "mode": "cbc",
        "status": "ACTIVE", "created": "2026-01-01T00:00:00", "updated": "2026-01-01T00:00:00",
        "expiration": "2026-02-03T04:05:06", "content_types": {"default": "text/plain"},
        "secret_ref": f"http://cloud.test{BASE}/{secret_id}",
    }  # fmt: skip
    got = payload(hosted, secret_id)
    assert (got.status, got.raw) == (200, b"hush")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert hosted.call("GET", f"{BASE}/{secret_id}", hosted.member, headers=V11).json["consumers"] == []


def test_a_secret_in_two_steps(hosted: Hosted) -> None:
    secret_id = make(hosted, name="later")
    shown = hosted.call("GET", f"{BASE}/{secret_id}", hosted.member).json
    assert "content_types" not in shown
    assert payload(hosted, secret_id).status == 404
    where = f"{BASE}/{secret_id}"
    for headers, status in (
        ({"content-type": "application/json"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "text/plain; charset=latin-1"}, 415),
        ({"content-type": "text/plain", "content-encoding": "base64"}, 400),
        ({"content-type": "application/octet-stream", "content-encoding": "gzip"}, 400),
    ):
        assert hosted.call("PUT", where, hosted.member, b"x", headers).status == status, headers
    assert hosted.call("PUT", where, hosted.member, b"", {"content-type": "text/plain"}).status == 400
    assert hosted.call("PUT", where, hosted.member, b"\xff", {"content-type": "text/plain"}).status == 400
    octets = {"content-type": "application/octet-stream", "content-encoding": "base64"}
    assert hosted.call("PUT", where, hosted.member, b"!!", octets).status == 400
    done = hosted.call("PUT", where, hosted.member, base64.b64encode(b"\x00\x01\xff"), octets)
    assert (done.status, done.raw) == (204, b"")
    assert payload(hosted, secret_id, "application/octet-stream").raw == b"\x00\x01\xff"
    assert hosted.call("PUT", where, hosted.member, b"again", {"content-type": "text/plain"}).status == 409


def test_how_payloads_come_out(hosted: Hosted) -> None:
    plain = text(hosted, "naïve")
    binary = make(hosted, payload=base64.b64encode(b"\x80").decode(), payload_content_type="application/octet-stream",
                  payload_content_encoding="base64")  # fmt: skip
    assert payload(hosted, plain, "application/octet-stream").raw == "naïve".encode()
    assert payload(hosted, plain, "*/*").headers["content-type"] == "text/plain; charset=utf-8"
    assert payload(hosted, plain, "application/json").status == 406
    assert payload(hosted, binary, "text/plain").status == 406
    assert payload(hosted, binary, "text/html, */*;q=0.1").raw == b"\x80"
    assert payload(hosted, binary).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "body",
    [
        {"payload": "x"},
        {"payload": "", "payload_content_type": "text/plain"},
        {"payload": "   ", "payload_content_type": "text/plain"},
        {"payload_content_type": "text/plain"},
        {"payload_content_encoding": "base64"},
        {"payload": "x", "payload_content_type": "text/html"},
        {"payload": "x", "payload_content_type": "text/plain; charset=ascii"},
        {"payload": "x", "payload_content_type": "text/plain", "payload_content_encoding": "base64"},
        {"payload": "eA==", "payload_content_type": "application/octet-stream"},
        {"payload": "x", "payload_content_type": "application/octet-stream", "payload_content_encoding": "base64"},
        {"payload": "====", "payload_content_type": "application/octet-stream", "payload_content_encoding": "base64"},
        {"payload": "x", "payload_content_type": "application/octet-stream", "payload_content_encoding": "gzip"},
        {"secret_type": "poem"},
        {"bit_length": 0},
        {"bit_length": "256"},
        {"name": "n" * 256},
        {"expiration": "yesterday"},
        {"expiration": "2025-01-01T00:00:00"},
        {"name": 7},
    ],
)
def test_what_is_refused(hosted: Hosted, body: dict[str, Any]) -> None:
    answer = hosted.call("POST", BASE, hosted.member, body)
    assert answer.status == 400, answer.raw
    assert set(answer.json) == {"code", "title", "description"}
    assert answer.json["code"] == 400
    assert hosted.db.all("SELECT id FROM secret") == []


def test_payloads_are_bounded(hosted: Hosted) -> None:
    assert payload(hosted, text(hosted, "x" * 20_000)).raw == b"x" * 20_000
    answer = hosted.call("POST", BASE, hosted.member, {"payload": "x" * 20_001, "payload_content_type": "text/plain"})
    assert (answer.status, answer.json["title"]) == (413, "Request Entity Too Large")


def test_a_deleted_secret_cannot_come_back(hosted: Hosted) -> None:
    secret_id = text(hosted, "a-rather-unique-payload")
    row = hosted.db.one("SELECT sealed FROM secret WHERE id = ?", (secret_id,))
    assert row is not None
    assert b"unique" not in bytes(row[0])
    assert hosted.db.one("SELECT 1 FROM key_sealed WHERE name = ?", (f"secrets/{secret_id}",)) is not None
    assert hosted.call("DELETE", f"{BASE}/{secret_id}", hosted.member).status == 204
    assert hosted.call("DELETE", f"{BASE}/{secret_id}", hosted.member).status == 404
    assert payload(hosted, secret_id).status == 404
    for table in ("secret", "key_sealed", "secret_consumer", "secret_acl"):
        assert hosted.db.all(f"SELECT * FROM {table}") == []
    vaults = hosted.db.all("SELECT purpose, tenant FROM key_vault")
    assert vaults == [("secrets", hosted.project_id)]


def test_what_was_altered_or_moved_does_not_open(hosted: Hosted) -> None:
    first, second = text(hosted, "one"), text(hosted, "two")
    service = hosted.site.keymanager.secrets
    with hosted.db.write() as tx:
        row = tx.one("SELECT sealed FROM secret WHERE id = ?", (first,))
        assert row is not None
        tx.run("UPDATE secret SET sealed = ? WHERE id = ?", (row[0], second))
    with pytest.raises(Fatal):
        service.payload(second, "req-1", "test")
    with hosted.db.write() as tx:
        tx.run("UPDATE secret SET project_id = ? WHERE id = ?", (hosted.other_project, first))
    with pytest.raises(Fatal):
        service.payload(first, "req-1", "test")
    with hosted.db.write() as tx:
        tx.run("DELETE FROM key_sealed WHERE name = ?", (f"secrets/{second}",))
    with pytest.raises(NotFound):
        service.payload(second, "req-1", "test")


def test_a_read_is_written_down_before_the_seal_is_broken(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    secret_id = text(hosted)
    seen: list[int] = []
    service = hosted.site.keymanager.secrets
    plain = service._unseal

    def unseal(secret: Any) -> bytes:
        rows = hosted.db.all("SELECT body FROM audit_event ORDER BY id DESC LIMIT 1")
        seen.append(bytes(rows[0][0]).count(b'"action":"keymanager:get_payload"'))
        return plain(secret)

    monkeypatch.setattr(type(service), "_unseal", lambda self, secret: unseal(secret))
    before = len(hosted.db.all("SELECT id FROM audit_event"))
    assert payload(hosted, secret_id).raw == b"hush"
    assert seen == [1]
    assert len(hosted.db.all("SELECT id FROM audit_event")) == before + 1
    assert service.payload(secret_id, "req-9", "loadbalancer/x") == b"hush"
    assert seen == [1, 1]
    body = bytes(hosted.db.all("SELECT body FROM audit_event ORDER BY id DESC LIMIT 1")[0][0])
    assert b"loadbalancer/x" in body
    assert b"req-9" in body


def test_a_disabled_vault_stops_reads_at_once(hosted: Hosted) -> None:
    secret_id = text(hosted)
    assert payload(hosted, secret_id).status == 200
    key_id = str(hosted.db.all("SELECT key_id FROM key_vault")[0][0])
    with hosted.db.write() as tx:
        hosted.site.keys.set_enabled(tx, key_id, False)
    assert payload(hosted, secret_id).status == 403
    with pytest.raises(Denied):
        hosted.site.keymanager.secrets.payload(secret_id, "req-1", "test")
    with hosted.db.write() as tx:
        hosted.site.keys.set_enabled(tx, key_id, True)
    assert payload(hosted, secret_id).status == 200


def test_expired_secrets_are_gone_and_then_destroyed(hosted: Hosted) -> None:
    soon = text(hosted, expiration="2026-01-01T00:10:00Z")
    later = text(hosted, expiration="2026-01-01 02:00:00+01:00")
    assert payload(hosted, soon).status == 200
    hosted.clock.advance(601)
    assert payload(hosted, soon).status == 404
    assert hosted.call("GET", BASE, hosted.member).json["total"] == 1
    assert hosted.call("DELETE", f"{BASE}/{soon}", hosted.member).status == 404
    assert hosted.site.keymanager.secrets.expire() is False
    assert [row[0] for row in hosted.db.all("SELECT id FROM secret")] == [later]
    assert [row[0] for row in hosted.db.all("SELECT name FROM key_sealed")] == [f"secrets/{later}"]


def test_other_services_find_secrets(hosted: Hosted) -> None:
    secret_id = text(hosted)
    find = hosted.site.keymanager.secrets.find
    assert find(secret_id, hosted.project_id).id == secret_id
    assert find(f"https://x.test/key-manager/v1/secrets/{secret_id}/", hosted.project_id).id == secret_id
    with pytest.raises(NotFound):
        find(secret_id, hosted.other_project)
    with pytest.raises(Invalid):
        id_of("../../etc/passwd")
    empty = make(hosted)
    with pytest.raises(NotFound):
        hosted.site.keymanager.secrets.payload(empty, "req-1", "test")


def listed(hosted: Hosted, query: str, token: str = "") -> list[str]:
    answer = hosted.call("GET", f"{BASE}?{query}", token or hosted.member)
    assert answer.status == 200, answer.raw
    return [str(row["name"]) for row in answer.json["secrets"]]


def test_lists_and_their_filters(hosted: Hosted) -> None:
    make(hosted, name="a", algorithm="aes", bit_length=128, mode="cbc", secret_type="symmetric")
    hosted.clock.advance(10.5)
    make(hosted, name="b", algorithm="rsa", bit_length=2048, expiration="2026-03-01T00:00:00")
    hosted.clock.advance(10)
    make(hosted, name="c", algorithm="aes", bit_length=256, mode="gcm", expiration="2026-02-01T00:00:00")
    make(hosted, hosted.other, name="foreign")
    assert listed(hosted, "") == ["a", "b", "c"]
    assert listed(hosted, "name=b") == ["b"]
    assert listed(hosted, "alg=aes") == ["a", "c"]
    assert listed(hosted, "mode=gcm&alg=aes") == ["c"]
    assert listed(hosted, "bits=128") == ["a"]
    assert listed(hosted, "bits=0") == ["a", "b", "c"]
    assert listed(hosted, "secret_type=symmetric") == ["a"]
    assert listed(hosted, "created=gt:2026-01-01T00:00:00") == ["b", "c"]
    assert listed(hosted, "created=gte:2026-01-01T00:00:10,lt:2026-01-01T00:00:20") == ["b"]
    assert listed(hosted, "created=2026-01-01T00:00:10") == ["b"]
    assert listed(hosted, "updated=lte:2026-01-01T00:00:10") == ["a", "b"]
    assert listed(hosted, "expiration=lt:2026-02-15T00:00:00") == ["c"]
    assert listed(hosted, "sort=algorithm:asc,name:desc") == ["c", "a", "b"]
    assert listed(hosted, "sort=created:desc,status") == ["c", "b", "a"]
    assert listed(hosted, "acl_only=true") == []
    assert listed(hosted, "acl_only=false") == ["a", "b", "c"]
    for query in ("bits=x", "color=red", "sort=payload", "sort=name:up", "created=gt:never", "limit=-1", "offset=x"):
        assert hosted.call("GET", f"{BASE}?{query}", hosted.member).status == 400, query


def test_pages(hosted: Hosted) -> None:
    for n in range(12):
        make(hosted, name=f"s{n:02d}")
        hosted.clock.advance(1)
    first = hosted.call("GET", f"{BASE}?sort=name:asc", hosted.member).json
    assert (first["total"], len(first["secrets"])) == (12, 10)
    assert "previous" not in first
    assert first["next"] == f"http://cloud.test{BASE}?sort=name%3Aasc&limit=10&offset=10"
    second = hosted.call("GET", first["next"].removeprefix("http://cloud.test"), hosted.member).json
    assert [row["name"] for row in second["secrets"]] == ["s10", "s11"]
    assert "next" not in second
    assert second["previous"].endswith("limit=10&offset=0")
    assert len(hosted.call("GET", f"{BASE}?limit=1000", hosted.member).json["secrets"]) == 12
    assert hosted.call("GET", f"{BASE}?limit=0", hosted.member).json == {"secrets": [], "total": 12}


def test_metadata(hosted: Hosted) -> None:
    where = f"{BASE}/{make(hosted)}/metadata"
    put = hosted.call("PUT", where, hosted.member, {"metadata": {"Owner": "ops", "zone": "a"}})
    assert (put.status, put.json) == (201, {"metadata_ref": f"http://cloud.test{where}"})
    assert hosted.call("GET", where, hosted.member).json == {"metadata": {"owner": "ops", "zone": "a"}}
    made = hosted.call("POST", where, hosted.member, {"key": "Extra", "value": "1"})
    assert (made.status, made.json) == (201, {"key": "extra", "value": "1"})
    assert made.headers["location"] == f"http://cloud.test{where}/extra"
    assert hosted.call("POST", where, hosted.member, {"key": "extra", "value": "2"}).status == 409
    assert hosted.call("GET", f"{where}/extra", hosted.member).json == {"key": "extra", "value": "1"}
    changed = hosted.call("PUT", f"{where}/extra", hosted.member, {"key": "extra", "value": "2"})
    assert (changed.status, changed.json["value"]) == (200, "2")
    assert hosted.call("PUT", f"{where}/extra", hosted.member, {"key": "other", "value": "2"}).status == 400
    assert hosted.call("PUT", f"{where}/none", hosted.member, {"key": "none", "value": "2"}).status == 404
    assert hosted.call("GET", f"{where}/none", hosted.member).status == 404
    assert hosted.call("DELETE", f"{where}/extra", hosted.member).status == 204
    assert hosted.call("DELETE", f"{where}/extra", hosted.member).status == 404
    assert hosted.call("PUT", where, hosted.member, {"metadata": {"a b": "x"}}).status == 400
    assert hosted.call("PUT", where, hosted.member, {"metadata": {"a": 1}}).status == 400
    full = {f"k{n}": "v" for n in range(128)}
    assert hosted.call("PUT", where, hosted.member, {"metadata": full}).status == 201
    assert hosted.call("POST", where, hosted.member, {"key": "more", "value": "1"}).status == 400


def test_consumers_of_a_secret(hosted: Hosted) -> None:
    where = f"{BASE}/{make(hosted)}/consumers"
    one = {"service": "image", "resource_type": "image", "resource_id": "123e4567-e89b-12d3-a456-426614174002"}
    assert hosted.call("GET", where, hosted.member).status == 404, "consumers came with 1.1"
    assert hosted.call("GET", where, hosted.member, headers=V11).json == {"consumers": [], "total": 0}
    for _ in range(2):
        added = hosted.call("POST", where, hosted.member, one, V11)
        assert (added.status, added.json["consumers"]) == (200, [one])
    (shown,) = hosted.call("GET", where, hosted.member, headers=V11).json["consumers"]
    assert {name: shown[name] for name in one} == one
    assert hosted.call("DELETE", where, hosted.member, {**one, "service": "x"}, V11).status == 404
    removed = hosted.call("DELETE", where, hosted.member, one, V11)
    assert (removed.status, removed.json["consumers"]) == (200, [])


def test_who_may(hosted: Hosted) -> None:
    secret_id = text(hosted)
    where = f"{BASE}/{secret_id}"
    body = {"name": "x"}
    for token, status in ((hosted.reader, 403), (hosted.other, 403), (None, 401)):
        assert hosted.call("GET", where, token).status == status
        assert hosted.call("GET", f"{where}/payload", token).status == status
        assert hosted.call("DELETE", where, token).status == status
        assert hosted.call("GET", f"{where}/metadata", token).status == status
        assert hosted.call("PUT", f"{where}/acl", token, {"read": {}}).status == status
    assert hosted.call("POST", BASE, hosted.reader, body).status == 403
    assert hosted.call("GET", BASE, hosted.reader).status == 403
    assert hosted.call("GET", BASE, hosted.other).json["total"] == 0
    assert hosted.call("GET", where, hosted.admin).status == 200, "administrators see that there is a secret"
    assert hosted.call("GET", f"{where}/payload", hosted.admin).status == 403, "and not what it holds"
    assert hosted.call("DELETE", where, hosted.admin).status == 204


def test_access_lists(hosted: Hosted) -> None:
    mate = hosted._user("mate", "demo", hosted.project_id, "member")
    boss = hosted._user("boss", "demo", hosted.project_id, "admin")
    secret_id = text(hosted)
    where = f"{BASE}/{secret_id}"
    assert hosted.call("GET", f"{where}/acl", hosted.member).json == {"read": {"project-access": True}}
    eve = hosted.identity.core.authenticator.token(hosted.other).user_id
    put = hosted.call("PUT", f"{where}/acl", hosted.member, {"read": {"users": [eve, eve], "project-access": False}})
    assert (put.status, put.json) == (200, {"acl_ref": f"http://cloud.test{where}/acl"})
    shown = hosted.call("GET", f"{where}/acl", hosted.member).json["read"]
    assert (shown["users"], shown["project-access"]) == ([eve], False)
    assert payload(hosted, secret_id, token=hosted.other).raw == b"hush"
    assert listed(hosted, "acl_only=True", hosted.other) == ["None"]
    assert payload(hosted, secret_id, token=mate).status == 403
    assert hosted.call("GET", where, mate).status == 403
    assert listed(hosted, "", mate) == []
    assert listed(hosted, "", boss) == ["None"]
    assert payload(hosted, secret_id, token=boss).status == 200
    assert payload(hosted, secret_id).status == 200, "its creator"
    assert hosted.call("DELETE", where, hosted.other).status == 403
    patched = hosted.call("PATCH", f"{where}/acl", hosted.member, {"read": {"project-access": True}})
    assert patched.status == 200
    assert hosted.call("GET", f"{where}/acl", hosted.member).json["read"]["users"] == [eve]
    assert payload(hosted, secret_id, token=mate).status == 200
    assert hosted.call("PATCH", f"{where}/acl", hosted.member, {"read": {"users": []}}).status == 200
    assert payload(hosted, secret_id, token=hosted.other).status == 403
    assert hosted.call("PUT", f"{where}/acl", hosted.member, {"write": {}}).status == 400
    assert hosted.call("PUT", f"{where}/acl", hosted.member, {"read": {"users": "x"}}).status == 400
    gone = hosted.call("DELETE", f"{where}/acl", hosted.member)
    assert (gone.status, gone.json) == (200, {})
    assert hosted.call("GET", f"{where}/acl", hosted.member).json == {"read": {"project-access": True}}


def test_a_rotated_vault_still_opens_and_leaves_no_former_version(hosted: Hosted) -> None:
    from andromede.app import hosting
    from andromede.objects.rewrap import Rewrapper

    ids = [text(hosted, f"payload {n}") for n in range(3)]
    key_id = str(hosted.db.all("SELECT key_id FROM key_vault")[0][0])
    with hosted.db.write() as tx:
        hosted.site.keys.rotate(tx, key_id)
    ids.append(text(hosted, "payload 3"))
    rewrapper = Rewrapper(hosted.db, hosted.site.keys, hosting.rewraps())
    for _ in range(10):
        if not rewrapper.run():
            break
    assert hosted.db.all("SELECT * FROM key_former") == []
    assert [payload(hosted, secret_id).raw for secret_id in ids] == [f"payload {n}".encode() for n in range(4)]


def test_fsck_finds_a_key_that_does_not_open(hosted: Hosted) -> None:
    from andromede.keys import sealed

    secret_id = text(hosted)
    with hosted.db.read() as tx:
        assert sealed.check(tx, hosted.site.keys) == []
    with hosted.db.write() as tx:
        tx.run("UPDATE key_sealed SET wrapped = ? WHERE name = ?", (b"\0\0\0\1" + bytes(60), f"secrets/{secret_id}"))
    with hosted.db.read() as tx:
        ((name, problem),) = sealed.check(tx, hosted.site.keys)
    assert name == f"secrets/{secret_id}"
    assert "does not open" in problem
