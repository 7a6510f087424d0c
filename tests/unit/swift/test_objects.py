"""Objects through the Swift door: write, read, change, copy, list, expire."""

from __future__ import annotations

import hashlib
import itertools
import json
from urllib.parse import quote

import pytest

from tests.support.clock import FakeClock
from tests.support.doors import Doors

HELLO = hashlib.md5(b"hello").hexdigest()


def test_put_get_head_delete(door: Doors) -> None:
    headers = {"Content-Type": "text/x", "X-Object-Meta-Foo": "bar", "Content-Disposition": "d", "X-Other": "no"}
    made = door.swift("PUT", "box/o", b"hello", headers)
    assert (made.status, made.headers["etag"]) == (201, HELLO)
    read = door.swift("GET", "box/o")
    assert (read.status, read.body, read.headers["content-type"]) == (200, b"hello", "text/x")
    assert read.headers["x-object-meta-foo"] == "bar"
    assert read.headers["content-disposition"] == "d"
    assert "x-other" not in read.headers
    head = door.swift("HEAD", "box/o")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert door.swift("DELETE", "box/o").status == 204
    assert door.swift("DELETE", "box/o").status == 404
    assert door.swift("GET", "box/o").status == 404
    assert door.swift("PUT", "none/o", b"").status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"ETag": HELLO}, 201),
        ({"ETag": f'"{HELLO}"'}, 201),
        ({"ETag": "0" * 32}, 422),
        ({"X-Delete-At": "100"}, 400),
        ({"X-Delete-At": "soon"}, 400),
        ({"X-Delete-At": ""}, 400),
        ({"X-Delete-At": "9" * 17}, 400),
        ({"X-Delete-After": "-1"}, 400),
        ({"X-Delete-After": "60"}, 201),
        ({"X-Object-Meta-" + "n" * 128: "v"}, 201),
        ({"X-Object-Meta-" + "n" * 129: "v"}, 400),
        ({"X-Object-Meta-N": "v" * 257}, 400),
        ({"If-None-Match": "*"}, 201),
        ({"If-None-Match": '"x"'}, 400),
        ({"X-Object-Manifest": "nowhere"}, 400),
        ({"Content-Type": "\xff"}, 400),
        ({"Cache-Control": "x" * 9000}, 400),
    ],
)
def test_put_headers(door: Doors, headers: dict[str, str], status: int) -> None:
    assert door.swift("PUT", "box/o", b"hello", headers).status == status
    assert door.swift("GET", "box/o").status == (200 if status == 201 else 404)


def test_put_needs_a_length(door: Doors) -> None:
    answer = door.send(door.swift_door, "PUT", "/v1/AUTH_p1/box/o", "", {"X-Auth-Token": "member"}, b"")
    assert answer.status == 411


def test_if_none_match_star_does_not_replace(door: Doors) -> None:
    assert door.swift("PUT", "box/o", b"1", {"If-None-Match": "*"}).status == 201
    assert door.swift("PUT", "box/o", b"2", {"If-None-Match": "*"}).status == 412
    assert door.swift("GET", "box/o").body == b"1"


@pytest.mark.parametrize(
    "name", ["n" * 1024, "a//b", "/lead", "a/../b", "..", "tail ", "é😀", "a\x01b", "a\nb", "q?#&+%"]
)
def test_names_come_back(door: Doors, name: str) -> None:
    assert door.swift("PUT", f"box/{name}", b"x").status == 201
    assert door.swift("GET", f"box/{name}").body == b"x"
    assert [row["name"] for row in json.loads(door.swift("GET", "box", query="format=json").body)] == [name]


def test_names_that_are_too_long(door: Doors) -> None:
    assert door.swift("PUT", "box/" + "n" * 1025, b"").status == 400
    assert door.swift("GET", "box/" + "n" * 1025).status == 404


def test_types_are_guessed(door: Doors) -> None:
    door.swift("PUT", "box/a.html", b"")
    assert door.swift("HEAD", "box/a.html").headers["content-type"] == "text/html"
    door.swift("PUT", "box/a.html", b"", {"Content-Type": "x/y", "X-Detect-Content-Type": "yes"})
    assert door.swift("HEAD", "box/a.html").headers["content-type"] == "text/html"
    door.swift("PUT", "box/plain", b"")
    assert door.swift("HEAD", "box/plain").headers["content-type"] == "application/octet-stream"


def test_ranges(door: Doors) -> None:
    door.swift("PUT", "box/o", bytes(range(100)), {"Content-Type": "a/b"})
    one = door.swift("GET", "box/o", headers={"Range": "bytes=10-19"})
    assert (one.status, one.body, one.headers["content-range"]) == (206, bytes(range(10, 20)), "bytes 10-19/100")
    several = door.swift("GET", "box/o", headers={"Range": "bytes=0-0,-1"})
    assert several.status == 206
    assert several.headers["content-type"].startswith("multipart/byteranges;boundary=")
    assert int(several.headers["content-length"]) == len(several.body)
    beyond = door.swift("GET", "box/o", headers={"Range": "bytes=100-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */100")
    stale = door.swift("GET", "box/o", headers={"Range": "bytes=0-0", "If-Range": '"old"'})
    assert (stale.status, len(stale.body)) == (200, 100)


def test_conditional_reads(door: Doors) -> None:
    door.swift("PUT", "box/o", b"hello")
    same = door.swift("GET", "box/o", headers={"If-None-Match": HELLO})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", HELLO)
    assert door.swift("GET", "box/o", headers={"If-Match": "x"}).status == 412
    shown = door.swift("HEAD", "box/o").headers["last-modified"]
    assert door.swift("GET", "box/o", headers={"If-Modified-Since": shown}).status == 304
    assert door.swift("GET", "box/o", headers={"If-Unmodified-Since": shown}).status == 200


def test_post_replaces_all_but_the_type(door: Doors, clock: FakeClock) -> None:
    before = {"Content-Type": "a/b", "X-Object-Meta-A": "1", "Content-Encoding": "gzip", "X-Delete-After": "60"}
    door.swift("PUT", "box/o", b"hello", before)
    clock.advance(10)
    assert door.swift("POST", "box/o", headers={"X-Object-Meta-B": "2"}).status == 202
    head = door.swift("HEAD", "box/o")
    assert head.headers["content-type"] == "a/b"
    assert head.headers["x-object-meta-b"] == "2"
    assert not {"x-object-meta-a", "content-encoding", "x-delete-at"} & set(head.headers)
    assert head.headers["last-modified"] == "Thu, 01 Jan 2026 00:00:10 GMT"
    assert head.headers["etag"] == HELLO
    assert door.swift("POST", "box/o", headers={"Content-Type": "c/d"}).status == 202
    assert door.swift("HEAD", "box/o").headers["content-type"] == "c/d"
    assert door.swift("POST", "box/none").status == 404


def test_expiry_hides_at_that_second(door: Doors, clock: FakeClock) -> None:
    door.swift("PUT", "box/o", b"x", {"X-Delete-After": "5"})
    assert door.swift("HEAD", "box/o").headers["x-delete-at"] == "1767225605"
    clock.advance(4.9)
    assert door.swift("GET", "box/o").status == 200
    clock.advance(0.1)
    assert door.swift("GET", "box/o").status == 404
    assert door.swift("GET", "box").status == 204
    assert door.swift("POST", "box/o", headers={"X-Delete-After": "60"}).status == 404
    assert door.swift("DELETE", "box/o").status == 404
    assert door.swift("PUT", "box/o", b"y").status == 201
    assert door.swift("GET", "box/o").body == b"y"


NAMES = ["a", "a/b", "a/b/", "a/b/c", "a//", "a/d", "ab", "b", "b/", "b/1", "é", "z"]


def expected(names: list[str], prefix: str, delimiter: str, marker: str, limit: int, reverse: bool) -> list[str]:
    """The listing by its definition."""
    out: list[str] = []
    for name in sorted(names, reverse=reverse):
        behind = not marker or (name < marker if reverse else name > marker)
        if not name.startswith(prefix) or not behind:
            continue
        stem, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        shown = prefix + stem + delimiter if found else name
        if found and shown == marker:
            continue
        if shown not in out:
            out.append(shown)
    return out[:limit]


def test_listings_against_their_definition(door: Doors) -> None:
    for name in NAMES:
        door.swift("PUT", f"box/{name}", b"x")
    cases = itertools.product(
        ("", "a", "a/", "b/"), ("", "/"), ("", "a", "a/", "a/b", "b", "b/1"), (1, 2, 100), (False, True)
    )
    for prefix, delimiter, marker, limit, reverse in cases:
        query = {"prefix": prefix, "delimiter": delimiter, "marker": marker, "limit": str(limit), "format": "json"}
        query |= {"reverse": "true"} if reverse else {}
        rows = json.loads(door.swift("GET", "box", query=query).body)
        found = [row.get("name", row.get("subdir")) for row in rows]
        assert found == expected(NAMES, prefix, delimiter, marker, limit, reverse), query


def test_listing_between_markers_and_by_path(door: Doors) -> None:
    for name in NAMES:
        door.swift("PUT", f"box/{name}", b"x")
    assert door.swift("GET", "box", query="marker=a/d&end_marker=b/").text == "ab\nb\n"
    assert door.swift("GET", "box", query="path=a").text == "a//\na/b\na/b/\na/d\n"
    assert door.swift("GET", "box", query="path=a&limit=2&marker=a/b").text == "a/b/\na/d\n"
    assert door.swift("GET", "box", query="path=").text == "a\nab\nb\nb/\nz\né\n"
    assert door.swift("GET", "box", query="limit=0").status == 204
    assert door.swift("GET", "box", query="limit=10001").status == 412
    assert door.swift("GET", "box", query="prefix=%ff").status == 400
    assert door.swift("GET", "box", headers={"Accept": "image/png"}).status == 406


def test_copies(door: Doors) -> None:
    door.swift("PUT", "box/o", b"hello", {"X-Object-Meta-A": "1", "Content-Type": "a/b", "X-Delete-After": "99"})
    made = door.swift("COPY", "box/o", headers={"Destination": "/box/p%20q", "X-Object-Meta-B": "2"})
    assert (made.status, made.headers["x-copied-from"]) == (201, "box/o")
    head = door.swift("HEAD", "box/p q").headers
    assert (head["x-object-meta-a"], head["x-object-meta-b"], head["content-type"]) == ("1", "2", "a/b")
    assert "x-delete-at" in head
    fresh = {"X-Copy-From": "/box/o", "X-Fresh-Metadata": "true", "X-Object-Meta-C": "3", "Content-Type": "c/d"}
    assert door.swift("PUT", "box/f", b"", fresh).status == 201
    head = door.swift("HEAD", "box/f").headers
    assert (head["x-object-meta-c"], head["content-type"]) == ("3", "c/d")
    assert not {"x-object-meta-a", "x-delete-at"} & set(head)
    assert door.swift("PUT", "box/r", b"", {"X-Copy-From": "box/o", "Range": "bytes=1-2"}).status == 201
    assert door.swift("GET", "box/r").body == b"el"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 412),
        ({"Destination": "box"}, 412),
        ({"Destination": "none/o"}, 404),
        ({"Destination": "box/c", "If-Match": "x"}, 412),
        ({"Destination": "box/c", "If-None-Match": HELLO}, 304),
        ({"Destination": "box/c", "Range": "bytes=9-"}, 416),
        ({"Destination": "box/c", "Destination-Account": "AUTH_p2"}, 403),
        ({"Destination": "box/c", "Destination-Account": "else"}, 412),
        ({"Destination": "box/" + "n" * 1025}, 400),
    ],
)
def test_copies_that_are_refused(door: Doors, headers: dict[str, str], status: int) -> None:
    door.swift("PUT", "box/o", b"hello")
    assert door.swift("COPY", "box/o", headers=headers).status == status
    assert door.swift("GET", "box").text == "o\n"


def test_copies_between_accounts_need_both_rights(door: Doors) -> None:
    assert door.swift("PUT", "theirs", token="stranger", account="AUTH_p2").status == 201
    door.swift("PUT", "theirs/src", b"t", token="stranger", account="AUTH_p2")
    pull = {"X-Copy-From": "theirs/src", "X-Copy-From-Account": "AUTH_p2"}
    assert door.swift("PUT", "box/c", b"", pull).status == 403
    door.swift("POST", "theirs", headers={"X-Container-Read": "p1:*"}, token="stranger", account="AUTH_p2")
    assert door.swift("PUT", "box/c", b"", pull).status == 201
    push = {"Destination": "theirs/new", "Destination-Account": "AUTH_p2"}
    assert door.swift("COPY", "box/c", headers=push).status == 403
    door.swift("POST", "theirs", headers={"X-Container-Write": "p1:*"}, token="stranger", account="AUTH_p2")
    assert door.swift("COPY", "box/c", headers=push).status == 201
    assert door.swift("GET", "theirs/new", token="stranger", account="AUTH_p2").body == b"t"


def test_events_one_per_request(door: Doors) -> None:
    before = len(door.vault.events())
    door.swift("PUT", "box/o", b"x")
    door.swift("POST", "box/o", headers={"X-Object-Meta-A": "1"})
    door.swift("DELETE", "box/o")
    door.swift("POST", "box", headers={"X-Container-Meta-A": "1"})
    found = [json.loads(str(row[0], "utf-8")) for row in door.vault.events()[before:]]  # type: ignore[call-overload]
    assert [(event["action"], event["object"].partition("?")[0]) for event in found] == [
        ("swift:PutObject", "box/o"),
        ("swift:PostObject", "box/o"),
        ("swift:DeleteObject", "box/o"),
        ("swift:PostContainer", "box"),
    ]
    assert {event["actor"] for event in found} == {"user:u-member"}
    assert {event["detail"]["door"] for event in found} == {"swift"}


def test_copies_from_accounts_that_are_none(door: Doors) -> None:
    door.swift("PUT", "box/o", b"1")
    for account in ("AUTH_\u212a", "\u00e9", "x"):
        answer = door.swift("COPY", "box/o", headers={"Destination": "box/p"}, account=quote(account))
        assert answer.status in (401, 403, 404, 412), answer.body
        answer = door.swift("PUT", "box/o", b"", {"X-Copy-From": "box/p"}, account=quote(account))
        assert answer.status in (401, 403, 404, 412), answer.body
