"""Every Swift route, and what requests make of routes by query or signature: one leaf each, named by the answer."""

from __future__ import annotations

import hmac
import io
import json
import tarfile
from dataclasses import dataclass, field

import pytest

from andromede.objects.swift.door import ROUTES
from tests.support.doors import ACCOUNT, Answer, Doors
from tests.support.leaves import HEADER, flush, leaves, only

KEY = b"account key"
EXPIRES = 1_767_225_600 + 60
Route = tuple[str, str]


@dataclass(frozen=True)
class Ask:
    """A request that succeeds. `effects`: events of a request that does many things at once."""

    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    token: str | None = "member"
    action: str = ""
    effects: int = 1


ASKS: dict[Route, Ask] = {
    ("account", "GET"): Ask(""),
    ("account", "HEAD"): Ask(""),
    ("account", "POST"): Ask("", headers={"X-Account-Meta-A": "1"}),
    ("account", "DELETE"): Ask("", token="reseller"),
    ("container", "GET"): Ask("box"),
    ("container", "HEAD"): Ask("box"),
    ("container", "PUT"): Ask("fresh"),
    ("container", "POST"): Ask("box", headers={"X-Container-Meta-A": "1"}),
    ("container", "DELETE"): Ask("bare"),
    ("object", "GET"): Ask("box/k"),
    ("object", "HEAD"): Ask("box/k"),
    ("object", "PUT"): Ask("box/new", b"data"),
    ("object", "POST"): Ask("box/k", headers={"X-Object-Meta-A": "1"}),
    ("object", "DELETE"): Ask("box/k"),
    ("object", "COPY"): Ask("box/k", headers={"Destination": "box/copy"}),
}


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    return file.getvalue()


def signed(method: str, path: str) -> str:
    text = f"{method}\n{EXPIRES}\n/v1/{ACCOUNT}/{path}".encode()
    return f"temp_url_sig={hmac.digest(KEY, text, 'sha256').hex()}&temp_url_expires={EXPIRES}"


def form() -> tuple[bytes, dict[str, str]]:
    values = {"redirect": "", "max_file_size": "10", "max_file_count": "1", "expires": str(EXPIRES)}
    text = "\n".join([f"/v1/{ACCOUNT}/box", *values.values()]).encode()
    values["signature"] = hmac.digest(KEY, text, "sha256").hex()
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    parts = [part.format(name, value) for name, value in values.items()]
    parts.append('--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\ndata\r\n--b--\r\n')
    return "".join(parts).encode(), {"Content-Type": "multipart/form-data; boundary=b"}


MANIFEST = json.dumps([{"path": "box/k"}]).encode()
VARIANTS: dict[str, tuple[str, Ask]] = {
    "signed GET": ("GET", Ask("box/k", query=signed("GET", "box/k"), token=None, action="swift:GetObject")),
    "signed PUT": ("PUT", Ask("box/s", b"x", query=signed("PUT", "box/s"), token=None, action="swift:PutObject")),
    "form": ("POST", Ask("box", *form(), token=None, action="swift:FormPost")),
    "bulk delete": ("POST", Ask("", b"box/k\nbox/l\n", query="bulk-delete", action="swift:DeleteObject", effects=2)),
    "bulk delete of nothing": ("POST", Ask("", b"box/none\n", query="bulk-delete", action="swift:PostAccount")),
    "bulk upload": ("PUT", Ask("box", archive("a", "b"), query="extract-archive=tar", effects=2)),
    "manifest": ("PUT", Ask("box/slo", MANIFEST, query="multipart-manifest=put")),
    "manifest with beats": ("PUT", Ask("box/slo", MANIFEST, query="multipart-manifest=put&heartbeat=on")),
    "delete of a large object": ("DELETE", Ask("box/large", query="multipart-manifest=delete", effects=2)),
    "manifest read": ("GET", Ask("box/large", query="multipart-manifest=get", action="swift:GetObject")),
    "large object": ("GET", Ask("box/large", action="swift:GetObject")),
    "symlink": ("PUT", Ask("box/link", b"", {"X-Symlink-Target": "box/k"})),
    "copy": ("PUT", Ask("box/copy", b"", {"X-Copy-From": "box/k"})),
    "website": ("GET", Ask("site/", token=None, action="swift:GetContainer")),
    "public object": ("GET", Ask("site/index.html", token=None, action="swift:GetObject")),
}


@pytest.fixture
def filled(door: Doors) -> Doors:
    meta = "X-Container-Meta-Web-Index"
    assert door.swift("POST", headers={"X-Account-Meta-Temp-Url-Key": KEY.decode()}).status == 204
    assert door.swift("PUT", "bare").status == 201
    assert door.swift("PUT", "site", headers={"X-Container-Read": ".r:*", meta: "index.html"}).status == 201
    for path in ("box/k", "box/l", "site/index.html"):
        assert door.swift("PUT", path, b"data").status == 201
    assert door.swift("PUT", "box/large", MANIFEST, query="multipart-manifest=put").status == 201
    return door


def asked(door: Doors, method: str, ask: Ask) -> Answer:
    return door.swift(method, ask.path, ask.body, ask.headers, query=ask.query, token=ask.token)


def test_every_route_has_a_request_here() -> None:
    assert set(ROUTES) == set(ASKS)


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_leaves_one_leaf_and_names_it(filled: Doors, route: Route) -> None:
    if route == ("account", "DELETE"):
        for path in ("box/k", "box/l", "box/large", "site/index.html", "box", "bare", "site"):
            assert filled.swift("DELETE", path).status == 204
    answer = asked(filled, route[1], ASKS[route])
    assert answer.status < 300, answer.body
    flush(filled.vault.objects)
    request_id = answer.headers["x-openstack-request-id"]
    tenant, _, event = only(filled.vault.db, request_id, answer.headers.get(HEADER), " ".join(route))
    assert tenant == "p1"
    assert event["outcome"] == "success"
    assert event["purpose"] == ("OPERATOR_SYSTEM" if ASKS[route].token == "reseller" else "CUSTOMER_ACCESS")
    assert event["detail"]["door"] == "swift"
    verb = {"COPY": "Copy"}.get(route[1], route[1].title())
    assert event["action"] == f"swift:{verb}{route[0].title()}"


@pytest.mark.parametrize("name", VARIANTS)
def test_what_queries_and_signatures_make_of_a_route_leaves_its_leaves(filled: Doors, name: str) -> None:
    method, ask = VARIANTS[name]
    answer = asked(filled, method, ask)
    assert answer.status < 300, answer.body
    flush(filled.vault.objects)
    found = leaves(filled.vault.db, answer.headers["x-openstack-request-id"])
    assert len(found) == ask.effects, found
    assert {leaf[0] for leaf in found} == {"p1"}
    assert {leaf[2]["purpose"] for leaf in found} == {"CUSTOMER_ACCESS"}
    assert not ask.action or found[0][2]["action"] == ask.action
    row = filled.vault.db.one("SELECT origin FROM ledger_log WHERE tenant = 'p1'")
    assert row is not None
    assert answer.headers[HEADER] == f"{row[0]} {min(leaf[1] for leaf in found)}"


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("token", ["stranger", None])
def test_every_refusal_leaves_one_leaf_and_names_it(filled: Doors, route: Route, token: str | None) -> None:
    ask = ASKS[route]
    answer = filled.swift(route[1], ask.path.replace("fresh", "box"), ask.body, ask.headers, token=token)
    assert answer.status == (401 if token is None else 403)
    flush(filled.vault.objects)
    request_id = answer.headers["x-openstack-request-id"]
    tenant, _, event = only(filled.vault.db, request_id, answer.headers.get(HEADER), " ".join(route))
    assert (tenant, event["outcome"]) == ("p1", "denied")


def test_an_operator_who_reads_is_told_apart(filled: Doors) -> None:
    answer = filled.swift("GET", "box/k", token="reseller")
    assert answer.status == 200
    flush(filled.vault.objects)
    request_id = answer.headers["x-openstack-request-id"]
    assert only(filled.vault.db, request_id, answer.headers.get(HEADER), "GET")[2]["purpose"] == "OPERATOR_REVIEW"


@pytest.mark.parametrize("path", ["/info", "/healthcheck"])
def test_what_touches_nobodys_data_leaves_nothing(filled: Doors, path: str) -> None:
    before = filled.vault.db.one("SELECT count(*) FROM audit_event")
    answer = filled.send(filled.swift_door, "GET", path, "", {}, b"")
    assert answer.status == 200
    assert HEADER not in answer.headers
    flush(filled.vault.objects)
    assert filled.vault.db.one("SELECT count(*) FROM audit_event") == before


def test_accounts_that_a_stranger_names_begin_no_log(filled: Doors) -> None:
    before = filled.vault.db.one("SELECT count(*) FROM ledger_log")
    for method, query in (("GET", ""), ("HEAD", ""), ("POST", "bulk-delete"), ("PUT", "extract-archive=tar")):
        filled.swift(method, "", b"x" if query else None, query=query, token="stranger", account="AUTH_madeup")
    flush(filled.vault.objects)
    assert filled.vault.db.one("SELECT count(*) FROM ledger_log") == before
