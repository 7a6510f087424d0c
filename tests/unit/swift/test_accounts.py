"""Accounts and containers through the Swift door."""

from __future__ import annotations

import json

import pytest

from andromede.objects.swift.door import ROUTES
from tests.support.doors import Doors


def test_account_counts_at_once(door: Doors) -> None:
    assert door.swift("PUT", "box/a", b"12345").status == 201
    head = door.swift("HEAD")
    assert head.status == 204
    assert head.headers["x-account-container-count"] == "1"
    assert head.headers["x-account-object-count"] == "1"
    assert head.headers["x-account-bytes-used"] == "5"
    assert head.headers["x-account-storage-policy-default-bytes-used"] == "5"
    rows = json.loads(door.swift("GET", query="format=json").body)
    assert [(row["name"], row["count"], row["bytes"]) for row in rows] == [("box", 1, 5)]
    assert door.swift("GET").text == "box\n"


def test_account_metadata_is_merged(door: Doors) -> None:
    assert door.swift("POST", headers={"X-Account-Meta-One": "1", "X-Account-Meta-Two": "2"}).status == 204
    assert door.swift("POST", headers={"X-Account-Meta-One": "", "X-Remove-Account-Meta-Two": "x"}).status == 204
    assert not any(name.startswith("x-account-meta") for name in door.swift("HEAD").headers)
    assert door.swift("POST", headers={"X-Account-Meta-" + "n" * 129: "v"}).status == 400


def test_every_answer_names_its_request(door: Doors) -> None:
    for answer in (door.swift("HEAD"), door.swift("GET", "none"), door.swift("GET", token=None)):
        assert answer.headers["x-openstack-request-id"].startswith("req-")
        assert answer.headers["x-trans-id"].startswith("tx")
        assert len(answer.headers["x-trans-id"]) == 34


def test_quotas_are_the_operators(door: Doors) -> None:
    for name in ("X-Account-Meta-Quota-Bytes", "X-Account-Quota-Count"):
        assert door.swift("POST", headers={name: "5"}).status == 403
        assert door.swift("POST", headers={name: "many"}, token="reseller").status == 400
    assert door.swift("POST", headers={"X-Account-Meta-Quota-Bytes": "5"}, token="reseller").status == 204
    assert door.swift("HEAD").headers["x-account-meta-quota-bytes"] == "5"
    assert door.swift("PUT", "box/o", b"123456").status == 413
    assert door.swift("PUT", "box/o", b"12345").status == 201
    assert door.swift("PUT", "box/p", b"1").status == 413
    assert door.swift("POST", headers={"X-Remove-Account-Quota-Bytes": "x"}, token="reseller").status == 204
    assert door.swift("PUT", "box/p", b"1").status == 201


def test_account_delete_is_the_resellers(door: Doors) -> None:
    assert door.swift("DELETE").status == 403
    assert door.swift("DELETE", token="reseller").status == 409
    assert door.swift("DELETE", "box").status == 204
    assert door.swift("DELETE", token="reseller").status == 204
    assert door.swift("PUT").status == 405


@pytest.mark.parametrize(("level", "method"), sorted(ROUTES))
@pytest.mark.parametrize(("token", "status"), [(None, 401), ("forged", 401), ("stranger", 403), ("auditor", 403)])
def test_every_route_refuses_those_without_a_right(
    door: Doors, level: str, method: str, token: str | None, status: int
) -> None:
    door.swift("PUT", "box/o", b"secret")
    path = {"account": "", "container": "box", "object": "box/o"}[level]
    headers = {"Destination": "box/p"} if method == "COPY" else {}
    answer = door.swift(method, path, headers=headers, token=token)
    assert answer.status == status
    assert b"secret" not in answer.body
    absent = {"account": "", "container": "none", "object": "box/none"}[level]
    assert door.swift(method, absent, headers=headers, token=token).status == status
    assert door.swift("GET", "box/o").body == b"secret"


@pytest.mark.parametrize(("level", "method"), sorted(ROUTES))
def test_readers_read_and_no_more(door: Doors, level: str, method: str) -> None:
    door.swift("PUT", "box/o", b"kept")
    path = {"account": "", "container": "box", "object": "box/o"}[level]
    answer = door.swift(method, path, headers={"Destination": "box/p"}, token="reader")
    assert answer.status == (403 if method not in ("GET", "HEAD") else 200 if answer.body or level == "object" else 204)


def test_containers(door: Doors) -> None:
    assert door.swift("PUT", "new", headers={"X-Container-Meta-A": "1"}).status == 201
    assert door.swift("PUT", "new", headers={"X-Container-Meta-B": "2"}).status == 202
    head = door.swift("HEAD", "new")
    assert (head.status, head.headers["x-container-meta-a"], head.headers["x-container-meta-b"]) == (204, "1", "2")
    assert head.headers["x-storage-policy"] == "default"
    assert door.swift("POST", "new", headers={"X-Container-Meta-A": ""}).status == 204
    assert "x-container-meta-a" not in door.swift("HEAD", "new").headers
    assert door.swift("PUT", "new/o", b"x").status == 201
    assert door.swift("DELETE", "new").status == 409
    assert door.swift("DELETE", "new/o").status == 204
    assert door.swift("DELETE", "new").status == 204
    assert door.swift("DELETE", "new").status == 404
    assert door.swift("POST", "new").status == 404


@pytest.mark.parametrize(
    ("name", "status"), [("n" * 256, 201), ("n" * 257, 400), ("é" * 129, 400), ("a b&c", 201), (".multipart", 400)]
)
def test_container_names(door: Doors, name: str, status: int) -> None:
    assert door.swift("PUT", name).status == status


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Storage-Policy": "gold"},
        {"X-Container-Meta-Quota-Bytes": "x"},
        {"X-Container-Meta-Quota-Count": "-1"},
        {"X-Container-Write": ".r:*"},
        {"X-Container-Read": ".x:y"},
        {"X-Versions-Location": "a", "X-History-Location": "b"},
        {"X-Versions-Location": "a", "X-Versions-Enabled": "true"},
    ],
)
def test_container_headers_that_are_refused(door: Doors, headers: dict[str, str]) -> None:
    assert door.swift("PUT", "bad", headers=headers).status == 400
    assert door.swift("HEAD", "bad").status == 404


def test_container_quota(door: Doors) -> None:
    quota = {"X-Container-Meta-Quota-Bytes": "10", "X-Container-Meta-Quota-Count": "2"}
    assert door.swift("POST", "box", headers=quota).status == 204
    assert door.swift("HEAD", "box").headers["x-container-meta-quota-bytes"] == "10"
    assert door.swift("PUT", "box/a", b"x" * 11).status == 413
    assert door.swift("PUT", "box/a", b"x" * 10).status == 201
    assert door.swift("PUT", "box/b", b"x").status == 413
    assert door.swift("PUT", "box/a", b"x" * 5).status == 201
    assert door.swift("PUT", "box/b", b"x").status == 201
    assert door.swift("COPY", "box/b", headers={"Destination": "box/c"}).status == 413


def test_acl_opens_reading_to_referrers(door: Doors) -> None:
    door.swift("PUT", "box/o", b"x")
    assert door.swift("GET", "box/o", token=None).status == 401
    door.swift("POST", "box", headers={"X-Container-Read": ".r:*, .r:-bad.example"})
    assert door.swift("GET", "box/o", token=None).status == 200
    assert door.swift("GET", "box/o", headers={"Referer": "http://bad.example/x"}, token=None).status == 401
    assert door.swift("GET", "box", token=None).status == 401
    door.swift("POST", "box", headers={"X-Container-Read": ".r:*,.rlistings"})
    assert door.swift("GET", "box", token=None).text == "o\n"
    head = door.swift("HEAD", "box", token=None)
    assert head.status == 204
    assert "x-container-read" not in head.headers
    assert door.swift("HEAD", "box").headers["x-container-read"] == ".r:*,.rlistings"


def test_acl_across_projects(door: Doors) -> None:
    door.swift("POST", "box", headers={"X-Container-Read": "p2:*", "X-Container-Write": "*:u-stranger"})
    assert door.swift("PUT", "box/theirs", b"x", token="stranger").status == 201
    assert door.swift("GET", "box", token="stranger").text == "theirs\n"
    assert door.swift("POST", "box", token="stranger").status == 403
    assert door.swift("GET", token="stranger").status == 403
    assert door.swift("GET", "box/theirs").body == b"x", "what is put into an account belongs to it"
    assert door.swift("DELETE", "box/theirs", token="stranger").status == 204


def test_signing_keys_are_shown_to_those_who_may_set_them(door: Doors) -> None:
    door.swift("POST", headers={"X-Account-Meta-Temp-Url-Key": "k"})
    door.swift("POST", "box", headers={"X-Container-Meta-Temp-Url-Key": "k", "X-Container-Read": "p2:*"})
    assert door.swift("HEAD").headers["x-account-meta-temp-url-key"] == "k"
    assert "x-account-meta-temp-url-key" not in door.swift("HEAD", token="reader").headers
    assert "x-container-meta-temp-url-key" in door.swift("HEAD", "box").headers
    assert "x-container-meta-temp-url-key" not in door.swift("HEAD", "box", token="stranger").headers


def test_access_rules_of_application_credentials(door: Doors) -> None:
    from tests.support.doors import person

    rules = (("object-store", "GET", "/v1/AUTH_p1/box/*"), ("object-store", "PUT", "/v1/*/box/sub/**"))
    door.people.tokens["robot"] = person("u-robot", "p1", "member", access_rules=rules)
    assert door.swift("PUT", "box/o", b"x").status == 201
    assert door.swift("GET", "box/o", token="robot").status == 200
    assert door.swift("GET", "box/o/p", token="robot").status == 403
    assert door.swift("HEAD", "box/o", token="robot").status == 403
    assert door.swift("PUT", "box/o", b"x", token="robot").status == 403
    assert door.swift("PUT", "box/sub/a/b", b"x", token="robot").status == 201


def test_cors(door: Doors) -> None:
    meta = "X-Container-Meta-Access-Control-"
    headers = {
        meta + "Allow-Origin": "http://a.com http://b.com",
        meta + "Max-Age": "5",
        meta + "Expose-Headers": "X-Z",
    }
    door.swift("POST", "box", headers=headers)
    asked = {"Origin": "http://a.com", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x, y"}
    answer = door.swift("OPTIONS", "box/o", headers=asked, token=None)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "http://a.com"
    assert answer.headers["access-control-max-age"] == "5"
    assert answer.headers["access-control-allow-headers"] == "x, y"
    other = {**asked, "Origin": "http://c.com"}
    assert door.swift("OPTIONS", "box/o", headers=other, token=None).status == 401
    assert door.swift("OPTIONS", "none/o", headers=asked, token=None).status == 401
    assert "COPY" in door.swift("OPTIONS", "box/o", token=None).headers["allow"]
    missing = door.swift("GET", "box/none", headers={"Origin": "http://a.com"})
    assert (missing.status, missing.headers["access-control-allow-origin"]) == (404, "http://a.com")
    assert "x-z" in missing.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in door.swift("GET", "box", headers={"Origin": "http://c.com"}).headers
