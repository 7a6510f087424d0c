"""Containers, orders and quotas over the API."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from tests.support.hosted_api import Hosted
from tests.unit.keymanager.test_secrets import make, payload, text

BASE = "/key-manager/v1/containers"
ORDERS = "/key-manager/v1/orders"
SECRETS = "http://cloud.test/key-manager/v1/secrets"


def contain(hosted: Hosted, kind: str = "generic", refs: list[dict[str, str]] | None = None, **more: Any) -> str:
    body = {"type": kind, **({"secret_refs": refs} if refs is not None else {}), **more}
    answer = hosted.call("POST", BASE, hosted.member, body)
    assert answer.status == 201, answer.raw
    assert answer.headers["location"] == answer.json["container_ref"]
    return str(answer.json["container_ref"]).rpartition("/")[2]


def reference(secret_id: str, name: str = "") -> dict[str, str]:
    return {"secret_ref": f"{SECRETS}/{secret_id}", **({"name": name} if name else {})}


def test_a_generic_container(hosted: Hosted) -> None:
    one, two = text(hosted), text(hosted)
    container_id = contain(hosted, name="box", refs=[reference(one, "first")])
    where = f"{BASE}/{container_id}"
    shown = hosted.call("GET", where, hosted.member).json
    assert shown.pop("creator_id")
    assert shown == {
        "name": "box", "type": "generic", "status": "ACTIVE", "created": "2026-01-01T00:00:00",
        "updated": "2026-01-01T00:00:00", "container_ref": f"http://cloud.test{where}",
        "secret_refs": [{"name": "first", "secret_ref": f"{SECRETS}/{one}"}], "consumers": [],
    }  # fmt: skip
    added = hosted.call("POST", f"{where}/secrets", hosted.member, reference(two))
    assert (added.status, added.json) == (201, {"container_ref": f"http://cloud.test{where}"})
    assert hosted.call("POST", f"{where}/secrets", hosted.member, reference(two, "again")).status == 409
    assert hosted.call("POST", f"{where}/secrets", hosted.member, reference(make(hosted), "first")).status == 409
    assert hosted.call("DELETE", f"{where}/secrets", hosted.member, reference(one, "other")).status == 404
    assert hosted.call("DELETE", f"{where}/secrets", hosted.member, reference(one, "first")).status == 204
    assert hosted.call("DELETE", f"/key-manager/v1/secrets/{two}", hosted.member).status == 204
    assert hosted.call("GET", where, hosted.member).json["secret_refs"] == []
    assert hosted.call("DELETE", where, hosted.member).status == 204
    assert hosted.call("GET", where, hosted.member).status == 404
    assert payload(hosted, one).status == 200, "secrets outlive their containers"


def test_containers_of_a_fixed_make_up(hosted: Hosted) -> None:
    one, two, three = text(hosted), text(hosted), text(hosted)
    rsa = contain(hosted, "rsa", [reference(one, "private_key"), reference(two, "public_key")])
    cert = contain(hosted, "certificate", [reference(three, "certificate"), reference(one, "private_key")])
    assert hosted.call("POST", f"{BASE}/{rsa}/secrets", hosted.member, reference(three)).status == 400
    assert hosted.call("DELETE", f"{BASE}/{cert}/secrets", hosted.member, reference(three)).status == 400
    names = [row["type"] for row in hosted.call("GET", BASE, hosted.member).json["containers"]]
    assert names == ["rsa", "certificate"]
    assert hosted.call("GET", f"{BASE}?type=rsa", hosted.member).json["total"] == 1
    assert hosted.call("GET", f"{BASE}?name=none", hosted.member).json == {"containers": [], "total": 0}
    assert hosted.call("GET", f"{BASE}?kind=rsa", hosted.member).status == 400


def test_what_containers_refuse(hosted: Hosted) -> None:
    one, two = text(hosted), text(hosted)
    foreign = make(hosted, hosted.other)
    missing = "00000000-0000-4000-8000-00000000ffff"
    for kind, refs, status in (
        ("box", [], 400),
        ("rsa", [], 400),
        ("rsa", [reference(one, "private_key")], 400),
        ("rsa", [reference(one, "private_key"), reference(two, "poem")], 400),
        ("certificate", [reference(one, "private_key")], 400),
        ("generic", [reference(one), reference(one)], 400),
        ("generic", [reference(one, "a"), reference(two, "a")], 400),
        ("generic", [{"secret_ref": "nowhere"}], 400),
        ("generic", [reference(missing)], 404),
        ("generic", [reference(foreign)], 404),
    ):
        answer = hosted.call("POST", BASE, hosted.member, {"type": kind, "secret_refs": refs})
        assert answer.status == status, (kind, refs, answer.raw)
    container_id = contain(hosted)
    assert hosted.call("POST", f"{BASE}/{container_id}/secrets", hosted.member, reference(foreign)).status == 404


def test_consumers_of_a_container(hosted: Hosted) -> None:
    where = f"{BASE}/{contain(hosted)}/consumers"
    one, two = {"name": "lb", "URL": "http://a"}, {"name": "vpn", "URL": "http://b"}
    assert hosted.call("POST", where, hosted.member, one).json["consumers"] == [one]
    assert len(hosted.call("POST", where, hosted.member, two).json["consumers"]) == 2
    page = hosted.call("GET", f"{where}?limit=1", hosted.member).json
    assert (page["total"], len(page["consumers"])) == (2, 1)
    assert page["next"].endswith("/consumers?limit=1&offset=1")
    consumer_id = str(hosted.db.all("SELECT id FROM secret_consumer ORDER BY created_us, id")[0][0])
    assert hosted.call("GET", f"{where}/{consumer_id}", hosted.member).json["name"] == "lb"
    assert hosted.call("GET", f"{where}/none", hosted.member).status == 404
    assert hosted.call("DELETE", where, hosted.member, {"name": "lb", "URL": "http://b"}).status == 404
    assert hosted.call("DELETE", where, hosted.member, one).json["consumers"] == [two]


def test_access_lists_of_containers(hosted: Hosted) -> None:
    where = f"{BASE}/{contain(hosted)}"
    eve = hosted.identity.core.authenticator.token(hosted.other).user_id
    assert hosted.call("GET", where, hosted.other).status == 403
    put = hosted.call("PUT", f"{where}/acl", hosted.member, {"read": {"users": [eve]}})
    assert (put.status, put.json) == (200, {"acl_ref": f"http://cloud.test{where}/acl"})
    assert hosted.call("GET", where, hosted.other).status == 200
    assert hosted.call("PATCH", f"{where}/acl", hosted.member, {"read": {"users": []}}).status == 200
    assert hosted.call("GET", where, hosted.other).status == 403
    assert hosted.call("GET", f"{where}/acl", hosted.member).json["read"]["users"] == []
    assert hosted.call("DELETE", f"{where}/acl", hosted.member).json == {}
    assert hosted.call("GET", f"{where}/acl", hosted.member).json == {"read": {"project-access": True}}
    assert hosted.call("GET", where, hosted.admin).status == 403
    assert hosted.call("DELETE", where, hosted.admin).status == 403
    assert hosted.call("DELETE", where, hosted.member).status == 204


def test_there_are_no_transport_keys(hosted: Hosted) -> None:
    where = "/key-manager/v1/transport_keys"
    assert hosted.call("GET", where, hosted.reader).json == {"transport_keys": [], "total": 0}
    assert hosted.call("POST", where, hosted.member, {}).status == 403
    assert hosted.call("POST", where, hosted.admin, {}).status == 501


def order(hosted: Hosted, kind: str, **meta: Any) -> dict[str, Any]:
    answer = hosted.call("POST", ORDERS, hosted.member, {"type": kind, "meta": meta})
    assert answer.status == 202, answer.raw
    shown = hosted.call("GET", str(answer.json["order_ref"]).removeprefix("http://cloud.test"), hosted.member)
    assert shown.json["order_ref"] == answer.json["order_ref"] == answer.headers["location"]
    assert (shown.status, shown.json["status"]) == (200, "ACTIVE")
    return dict(shown.json)


def test_an_order_for_a_key(hosted: Hosted) -> None:
    made = order(hosted, "key", name="k", algorithm="AES", bit_length=256, mode="cbc", note="mine")
    assert made["meta"] == {"name": "k", "algorithm": "AES", "bit_length": 256, "mode": "cbc", "note": "mine"}
    secret_id = made["secret_ref"].rpartition("/")[2]
    shown = hosted.call("GET", f"/key-manager/v1/secrets/{secret_id}", hosted.member).json
    assert (shown["name"], shown["secret_type"], shown["bit_length"]) == ("k", "symmetric", 256)
    key = payload(hosted, secret_id, "application/octet-stream").raw
    assert len(key) == 32
    assert len(set(key)) > 8
    assert hosted.call("GET", ORDERS, hosted.member).json["total"] == 1
    where = f"{ORDERS}/{made['order_ref'].rpartition('/')[2]}"
    assert hosted.call("GET", where, hosted.other).status == 404
    assert hosted.call("DELETE", where, hosted.admin).status == 404
    assert hosted.call("DELETE", where, hosted.member).status == 204
    assert hosted.call("GET", where, hosted.member).status == 404
    assert payload(hosted, secret_id).status == 200


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_an_order_for_an_rsa_pair(hosted: Hosted, passphrase: str | None) -> None:
    more = {"passphrase": passphrase} if passphrase else {}
    made = order(hosted, "asymmetric", name="pair", algorithm="rsa", bit_length=2048, **more)
    assert "passphrase" not in made["meta"]
    container = hosted.call("GET", made["container_ref"].removeprefix("http://cloud.test"), hosted.member).json
    assert container["type"] == "rsa"
    parts = {ref["name"]: payload(hosted, ref["secret_ref"].rpartition("/")[2]).raw for ref in container["secret_refs"]}
    assert set(parts) == {"private_key", "public_key"} | ({"private_key_passphrase"} if passphrase else set())
    private = load_der_private_key(parts["private_key"], passphrase.encode() if passphrase else None)
    assert private.public_key() == load_der_public_key(parts["public_key"])


@pytest.mark.parametrize(
    ("kind", "meta"),
    [
        ("certificate", {}),
        ("key", {"algorithm": "aes"}),
        ("key", {"algorithm": "aes", "bit_length": 100}),
        ("key", {"algorithm": "rot13", "bit_length": 128}),
        ("asymmetric", {"algorithm": "dsa", "bit_length": 2048}),
        ("asymmetric", {"algorithm": "rsa", "bit_length": 512}),
        ("key", {"algorithm": "aes", "bit_length": 128, "expiration": "2020-01-01T00:00:00"}),
    ],
)
def test_orders_that_are_refused(hosted: Hosted, kind: str, meta: dict[str, Any]) -> None:
    assert hosted.call("POST", ORDERS, hosted.member, {"type": kind, "meta": meta}).status == 400
    assert hosted.db.all("SELECT id FROM secret_order") == []


def test_quotas(hosted: Hosted) -> None:
    every = {"secrets": -1, "orders": -1, "containers": -1, "consumers": -1, "cas": -1}
    assert hosted.call("GET", "/key-manager/v1/quotas", hosted.reader).json == {"quotas": every}
    where = f"/key-manager/v1/project-quotas/{hosted.project_id}"
    for method, body in (("GET", None), ("PUT", {"project_quotas": {}}), ("DELETE", None)):
        assert hosted.call(method, where, hosted.member, body).status == 403
    assert hosted.call("GET", where, hosted.admin).status == 404
    assert hosted.call("DELETE", where, hosted.admin).status == 404
    limits = {"secrets": 2, "orders": 1, "containers": 0, "consumers": None}
    assert hosted.call("PUT", where, hosted.admin, {"project_quotas": limits}).status == 204
    assert hosted.call("GET", where, hosted.admin).json["project_quotas"] == {**limits, "cas": None}
    listed = hosted.call("GET", "/key-manager/v1/project-quotas", hosted.admin).json
    assert (listed["total"], listed["project_quotas"][0]["project_id"]) == (1, hosted.project_id)
    assert hosted.call("GET", "/key-manager/v1/quotas", hosted.member).json["quotas"]["secrets"] == 2
    text(hosted)
    assert hosted.call("POST", BASE, hosted.member, {"type": "generic"}).status == 403
    order(hosted, "key", algorithm="aes", bit_length=128)
    over = hosted.call("POST", ORDERS, hosted.member, {"type": "key", "meta": {"algorithm": "aes", "bit_length": 128}})
    assert over.status == 403
    assert "quota" in over.json["description"]
    assert hosted.call("POST", "/key-manager/v1/secrets", hosted.member, {}).status == 403
    for bad in ({"secrets": -2}, {"poems": 1}, {"secrets": "x"}):
        assert hosted.call("PUT", where, hosted.admin, {"project_quotas": bad}).status == 400
    assert hosted.call("DELETE", where, hosted.admin).status == 204
    assert hosted.call("POST", "/key-manager/v1/secrets", hosted.member, {}).status == 201
