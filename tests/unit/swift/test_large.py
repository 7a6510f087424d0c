"""Static and dynamic large objects, and symlinks, through the Swift door."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.support.doors import Answer, Doors

PARTS = {"s0": b"aaaa", "s1": b"bbbbb", "s2": b"cc"}
WHOLE = b"aaaabbbbbcc"


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


ETAG = md5("".join(md5(part) for part in PARTS.values()).encode())


@pytest.fixture
def parts(door: Doors) -> Doors:
    assert door.swift("PUT", "seg").status == 201
    for name, data in PARTS.items():
        assert door.swift("PUT", f"seg/{name}", data, {"Content-Type": "x/y"}).status == 201
    return door


def put(door: Doors, entries: Any, headers: dict[str, str] | None = None, key: str = "slo", more: str = "") -> Answer:
    body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return door.swift("PUT", f"box/{key}", body, headers, query="multipart-manifest=put" + more)


def whole(door: Doors, key: str = "slo", **fields: str) -> Answer:
    return put(door, [{"path": f"/seg/{name}"} for name in PARTS], key=key, headers=fields or None)


def test_slo_reads_as_one(parts: Doors) -> None:
    made = whole(parts)
    assert (made.status, made.headers["etag"]) == (201, f'"{ETAG}"')
    read = parts.swift("GET", "box/slo")
    assert (read.body, read.headers["etag"], read.headers["x-static-large-object"]) == (WHOLE, f'"{ETAG}"', "True")
    assert parts.swift("HEAD", "box/slo").headers["content-length"] == "11"
    assert parts.swift("GET", "box/slo", headers={"Range": "bytes=3-9"}).body == WHOLE[3:10]
    several = parts.swift("GET", "box/slo", headers={"Range": "bytes=0-0,10-"})
    assert (several.status, int(several.headers["content-length"])) == (206, len(several.body))
    assert parts.swift("GET", "box/slo", headers={"If-None-Match": f'"{ETAG}"'}).status == 304
    row = json.loads(parts.swift("GET", "box", query="format=json").body)[0]
    assert (row["bytes"], row["slo_etag"]) == (11, f'"{ETAG}"')
    assert row["hash"] == md5(parts.swift("GET", "box/slo", query="multipart-manifest=get").body)


def test_slo_of_ranges_and_data(parts: Doors) -> None:
    literal = base64.b64encode(b"--").decode()
    entries = [{"path": "seg/s1", "range": "1-2"}, {"data": literal}, {"path": "/seg/s0", "range": "-1"}]
    assert put(parts, entries).status == 201
    assert parts.swift("GET", "box/slo").body == b"bb--a"
    expected = md5(f"{md5(b'bbbbb')}:1-2;{md5(b'--')}{md5(b'aaaa')}:3-3;".encode())
    assert parts.swift("HEAD", "box/slo").headers["etag"] == f'"{expected}"'
    raw = json.loads(parts.swift("GET", "box/slo", query="multipart-manifest=get&format=raw").body)
    assert raw == [
        {"path": "/seg/s1", "etag": md5(b"bbbbb"), "size_bytes": 5, "range": "1-2"},
        {"data": literal},
        {"path": "/seg/s0", "etag": md5(b"aaaa"), "size_bytes": 4, "range": "3-3"},
    ]
    assert put(parts, raw, key="again").headers["etag"] == f'"{expected}"'


def test_slo_part_numbers(parts: Doors) -> None:
    whole(parts)
    second = parts.swift("GET", "box/slo", query="part-number=2")
    assert (second.status, second.body, second.headers["x-parts-count"]) == (206, b"bbbbb", "3")
    assert second.headers["content-range"] == "bytes 4-8/11"
    assert parts.swift("HEAD", "box/slo", query="part-number=3").headers["content-length"] == "2"
    assert parts.swift("GET", "box/slo", query="part-number=4").status == 416
    assert parts.swift("GET", "box/slo", query="part-number=0").status == 400


def test_slo_nested(parts: Doors) -> None:
    whole(parts)
    assert (
        put(parts, [{"path": "/box/slo"}, {"path": "/seg/s2"}, {"path": "/box/slo", "range": "2-5"}], key="n").status
        == 201
    )
    assert parts.swift("GET", "box/n").body == WHOLE + b"cc" + WHOLE[2:6]
    assert parts.swift("GET", "box/n", headers={"Range": "bytes=9-14"}).body == (WHOLE + b"cc" + WHOLE[2:6])[9:15]
    shown = json.loads(parts.swift("GET", "box/n", query="multipart-manifest=get").body)
    assert [entry.get("sub_slo", False) for entry in shown] == [True, False, True]


def test_slo_depth_is_bounded(parts: Doors) -> None:
    put(parts, [{"path": "/seg/s0"}], key="d0")
    answers = [put(parts, [{"path": f"/box/d{n}"}], key=f"d{n + 1}").status for n in range(12)]
    assert answers[:9] == [201] * 9
    assert answers[-1] == 400
    assert parts.swift("GET", "box/d9").body == b"aaaa"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"xx", 400),
        (b"{}", 400),
        (b"[1]", 400),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'[{"path":"x"}]', 400),
        (b'[{"path":5}]', 400),
        (b'[{"path":"/seg/s0","etag":5}]', 400),
        (b'[{"path":"/seg/s0","extra":5}]', 400),
        (b'[{"path":"\\ud800/x"}]', 400),
        (b'[{"path":"a/\\u0000"}]', 400),
        (b'[{"data":"eHg="}]', 400),
        (b'[{"data":""},{"path":"/seg/s0"}]', 400),
        (b'[{"data":"%%"},{"path":"/seg/s0"}]', 400),
        (b'[{"path":"/seg/none"}]', 400),
        (b'[{"path":"/none/none"}]', 400),
        (b'[{"path":"/seg/s0","size_bytes":5}]', 400),
        (b'[{"path":"/seg/s0","size_bytes":true}]', 400),
        (b'[{"path":"/seg/s0","etag":"xx"}]', 400),
        (b'[{"path":"/seg/s0","range":"9-"}]', 400),
        (b'[{"path":"/seg/s0","range":"2-1"}]', 400),
        (b'[{"path":"/seg/s0","range":"0-1,2-3"}]', 400),
        (b'[{"path":"/box/slo"}]', 400),
        (json.dumps([{"path": "/seg/s0"}] * 1001).encode(), 413),
        (json.dumps([{"path": "/seg/s0"}] * 1000).encode(), 201),
        (b'[{"path":"/seg/s0","size_bytes":"4","etag":null,"range":null}]', 201),
    ],
)
def test_manifests(parts: Doors, body: bytes, status: int) -> None:
    assert put(parts, body).status == status
    assert parts.swift("HEAD", "box/slo").status == (200 if status == 201 else 404)


def test_manifest_errors_in_the_form_asked_for(parts: Doors) -> None:
    entries = [{"path": "/seg/none"}, {"path": "/seg/s0", "etag": "bad"}]
    answer = put(parts, entries, {"Accept": "application/json"})
    assert json.loads(answer.body) == {"Errors": [["/seg/none", "404 Not Found"], ["/seg/s0", "Etag Mismatch"]]}
    assert put(parts, entries, {"Accept": "text/xml"}).body.startswith(b"<errors>")
    assert put(parts, entries).text == "Errors:\n/seg/none, 404 Not Found\n/seg/s0, Etag Mismatch\n"


def test_manifest_etag_header(parts: Doors) -> None:
    assert whole(parts, ETag="0" * 32).status == 422
    assert whole(parts, ETag=ETAG).status == 201


def test_heartbeat_tells_the_truth_at_the_end(parts: Doors) -> None:
    made = put(parts, [{"path": "/seg/s0"}], {"Accept": "application/json"}, more="&heartbeat=on")
    assert made.status == 202
    assert json.loads(made.body)["Response Status"] == "201 Created"
    assert parts.swift("GET", "box/slo").body == b"aaaa"
    failed = put(parts, [{"path": "/seg/x"}], {"Accept": "application/json"}, key="no", more="&heartbeat=on")
    assert (failed.status, json.loads(failed.body)["Response Status"]) == (202, "400 Bad Request")
    assert parts.swift("HEAD", "box/no").status == 404


def test_a_changed_segment_is_never_wrong_bytes(parts: Doors) -> None:
    whole(parts)
    parts.swift("PUT", "seg/s0", b"AAAA")
    assert parts.swift("GET", "box/slo").status == 409
    assert parts.swift("GET", "box/slo", headers={"Range": "bytes=4-8"}).body == b"bbbbb"
    parts.swift("DELETE", "seg/s1")
    assert parts.swift("GET", "box/slo", headers={"Range": "bytes=4-8"}).status == 409


def test_segments_ask_for_their_own_rights(parts: Doors) -> None:
    whole(parts)
    parts.swift("POST", "box", headers={"X-Container-Read": ".r:*"})
    assert parts.swift("GET", "box/slo", token=None).status == 409
    parts.swift("POST", "seg", headers={"X-Container-Read": ".r:*"})
    assert parts.swift("GET", "box/slo", token=None).body == WHOLE
    parts.swift("POST", "box", headers={"X-Container-Write": "p2:*"})
    stolen = parts.swift(
        "PUT", "box/x", b'[{"path":"/other/secret"}]', token="stranger", query="multipart-manifest=put"
    )
    assert (stolen.status, b"403" in stolen.body) == (400, True)


def test_slo_delete_with_segments(parts: Doors) -> None:
    whole(parts)
    gone = parts.swift("DELETE", "box/slo", headers={"Accept": "application/json"}, query="multipart-manifest=delete")
    report = json.loads(gone.body)
    assert (gone.status, report["Number Deleted"], report["Errors"]) == (200, 4, [])
    assert parts.swift("GET", "seg").status == 204
    again = parts.swift("DELETE", "box/slo", headers={"Accept": "application/json"}, query="multipart-manifest=delete")
    assert json.loads(again.body)["Number Not Found"] == 1
    parts.swift("PUT", "box/plain", b"x")
    plain = parts.swift("DELETE", "box/plain", query="multipart-manifest=delete")
    assert b"Not an SLO manifest" in plain.body
    assert parts.swift("HEAD", "box/plain").status == 200


def test_copying_a_slo(parts: Doors) -> None:
    whole(parts)
    parts.swift("COPY", "box/slo", headers={"Destination": "box/flat"})
    flat = parts.swift("GET", "box/flat")
    assert (flat.body, flat.headers["etag"]) == (WHOLE, md5(WHOLE))
    made = parts.swift("COPY", "box/slo", headers={"Destination": "box/same"}, query="multipart-manifest=get")
    assert made.headers["etag"] == f'"{ETAG}"'
    assert parts.swift("GET", "box/same").headers["x-static-large-object"] == "True"
    assert parts.swift("GET", "box/same").body == WHOLE


def test_dlo(parts: Doors) -> None:
    assert parts.swift("PUT", "box/dlo", b"", {"X-Object-Manifest": "seg/s"}).status == 201
    read = parts.swift("GET", "box/dlo")
    assert (read.body, read.headers["etag"]) == (WHOLE, f'"{ETAG}"')
    assert read.headers["x-object-manifest"] == "seg/s"
    parts.swift("PUT", "seg/s3", b"dd")
    assert parts.swift("GET", "box/dlo").body == WHOLE + b"dd"
    assert parts.swift("GET", "box/dlo", headers={"Range": "bytes=9-12"}).body == b"ccdd"
    assert parts.swift("GET", "box/dlo", query="multipart-manifest=get").body == b""
    parts.swift("POST", "box/dlo", headers={"X-Object-Manifest": "seg/s1", "X-Object-Meta-A": "1"})
    assert parts.swift("GET", "box/dlo").body == b"bbbbb"
    parts.swift("POST", "box/dlo", headers={"X-Object-Meta-A": "1"})
    assert parts.swift("GET", "box/dlo").body == b""
    parts.swift("PUT", "seg/sz", b"own", {"X-Object-Manifest": "seg/s"})
    assert parts.swift("GET", "seg/sz").body == WHOLE + b"ddown"


def test_symlinks(parts: Doors) -> None:
    made = parts.swift("PUT", "box/link", b"", {"X-Symlink-Target": "seg/s1"})
    assert made.status == 201
    read = parts.swift("GET", "box/link")
    assert (read.body, read.headers["content-location"]) == (b"bbbbb", "/v1/AUTH_p1/seg/s1")
    own = parts.swift("GET", "box/link", query="symlink=get")
    assert (own.body, own.headers["x-symlink-target"], own.headers["content-type"]) == (
        b"", "seg/s1", "application/symlink",
    )  # fmt: skip
    moved = parts.swift("POST", "box/link", headers={"X-Object-Meta-A": "1"})
    assert (moved.status, moved.headers["location"]) == (307, "/v1/AUTH_p1/seg/s1")
    row = json.loads(parts.swift("GET", "box", query="format=json").body)[0]
    assert (row["symlink_path"], row["bytes"]) == ("/v1/AUTH_p1/seg/s1", 0)
    assert parts.swift("DELETE", "box/link").status == 204
    assert parts.swift("HEAD", "seg/s1").status == 200


def test_static_symlinks_notice_change(parts: Doors) -> None:
    headers = {"X-Symlink-Target": "seg/s1", "X-Symlink-Target-Etag": md5(b"bbbbb")}
    assert parts.swift("PUT", "box/link", b"", {**headers, "X-Symlink-Target-Etag": "other"}).status == 409
    assert parts.swift("PUT", "box/link", b"", {**headers, "X-Symlink-Target": "seg/none"}).status == 409
    assert parts.swift("PUT", "box/link", b"", headers).status == 201
    row = json.loads(parts.swift("GET", "box", query="format=json").body)[0]
    assert (row["symlink_etag"], row["symlink_bytes"]) == (md5(b"bbbbb"), 5)
    parts.swift("PUT", "seg/s1", b"new")
    assert parts.swift("GET", "box/link").status == 409


def test_chains_of_symlinks_are_short(parts: Doors) -> None:
    for name, target in (("l1", "seg/s0"), ("l2", "box/l1"), ("l3", "box/l2"), ("la", "box/lb"), ("lb", "box/la")):
        assert parts.swift("PUT", f"box/{name}", b"", {"X-Symlink-Target": target}).status == 201
    assert parts.swift("GET", "box/l2").body == b"aaaa"
    assert parts.swift("GET", "box/l3").status == 409
    assert parts.swift("GET", "box/la").status == 409
    parts.swift("PUT", "box/dangling", b"", {"X-Symlink-Target": "box/none"})
    assert parts.swift("GET", "box/dangling").status == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"X-Symlink-Target": "seg"}, b"", 412),
        ({"X-Symlink-Target": ""}, b"", 412),
        ({"X-Symlink-Target": "/seg/s1"}, b"", 412),
        ({"X-Symlink-Target": "%ff/x"}, b"", 412),
        ({"X-Symlink-Target": "seg/s1"}, b"body", 400),
        ({"X-Symlink-Target": "box/link"}, b"", 400),
        ({"X-Symlink-Target": "seg/s1", "X-Symlink-Target-Account": "a/b"}, b"", 412),
    ],
)
def test_symlinks_that_are_refused(parts: Doors, headers: dict[str, str], body: bytes, status: int) -> None:
    assert parts.swift("PUT", "box/link", body, headers).status == status


def test_rights_are_asked_for_at_the_end_of_a_link(parts: Doors) -> None:
    parts.swift("PUT", "box/link", b"", {"X-Symlink-Target": "seg/s0"})
    parts.swift("POST", "box", headers={"X-Container-Read": ".r:*"})
    assert parts.swift("GET", "box/link", token=None).status == 401
    assert parts.swift("GET", "box/link", token="stranger").status == 403
    away = {"X-Symlink-Target": "seg/s0", "X-Symlink-Target-Account": "AUTH_p1"}
    parts.swift("PUT", "mine", token="stranger", account="AUTH_p2")
    assert parts.swift("PUT", "mine/link", b"", away, token="stranger", account="AUTH_p2").status == 201
    assert parts.swift("GET", "mine/link", token="stranger", account="AUTH_p2").status == 403


def test_a_link_into_another_project_does_not_tell_what_exists_there(parts: Doors) -> None:
    other = {"token": "stranger", "account": "AUTH_p2"}
    parts.swift("PUT", "mine", **other)
    found = set()
    for target in ("seg/s0", "seg/none", "none/s0"):
        away = {"X-Symlink-Target": target, "X-Symlink-Target-Account": "AUTH_p1"}
        assert parts.swift("PUT", "mine/link", b"", away, **other).status == 201
        found.add(tuple(parts.swift(method, "mine/link", **other).status for method in ("GET", "HEAD")))
    assert found == {(403, 403)}
    # who may read there learns that a target is gone
    parts.swift("POST", "seg", headers={"X-Container-Read": "p2:*"})
    away = {"X-Symlink-Target": "seg/none", "X-Symlink-Target-Account": "AUTH_p1"}
    parts.swift("PUT", "mine/link", b"", away, **other)
    assert parts.swift("GET", "mine/link", **other).status == 404


def test_a_dynamic_manifest_does_not_tell_what_other_containers_hold(parts: Doors) -> None:
    parts.swift("POST", "box", headers={"X-Container-Read": "p2:*", "X-Container-Write": "p2:*"})
    for prefix in ("seg/s", "seg/none", "none/s"):
        assert parts.swift("PUT", "box/dlo", b"", {"X-Object-Manifest": prefix}, token="stranger").status == 201
        assert parts.swift("GET", "box/dlo", token="stranger").status == 403
        assert parts.swift("GET", "box/dlo").status == 200
