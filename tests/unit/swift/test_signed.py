"""Temporary URLs, form posts and websites."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database
from tests.support.clock import FakeClock
from tests.support.doors import Answer, Doors, doors

NOW = 1_767_225_600
KEY = b"account key"


@pytest.fixture
def keyed(door: Doors) -> Doors:
    door.swift("POST", headers={"X-Account-Meta-Temp-Url-Key": KEY.decode()})
    door.swift("PUT", "other")
    door.swift("PUT", "other/secret", b"secret")
    door.swift("PUT", "box/dir/o.txt", b"hello", {"X-Object-Meta-A": "1", "X-Object-Meta-Public-B": "2"})
    return door


def sign(method: str, path: str, digest: str = "sha256", head: str = "", key: bytes = KEY) -> bytes:
    return hmac.new(key, f"{head}{method}\n{NOW + 60}\n{path}".encode(), digest).digest()


def url(
    door: Doors, method: str, path: str = "box/dir/o.txt", body: bytes | None = None, headers: Any = None, **query: str
) -> Answer:
    if "temp_url_sig" not in query:
        query["temp_url_sig"] = sign(method, f"/v1/AUTH_p1/{path}").hex()
    query.setdefault("temp_url_expires", str(NOW + 60))
    return door.swift(method, path, body, headers, query=query, token=None)


def test_a_signed_url_reads_what_it_names(keyed: Doors) -> None:
    read = url(keyed, "GET")
    assert (read.status, read.body) == (200, b"hello")
    assert read.headers["content-disposition"] == "attachment; filename=\"o.txt\"; filename*=UTF-8''o.txt"
    assert read.headers["expires"] == "Thu, 01 Jan 2026 00:01:00 GMT"
    assert "x-object-meta-a" not in read.headers
    assert read.headers["x-object-meta-public-b"] == "2"
    assert url(keyed, "GET", "box/dir/o.txt", filename='a"b é').headers["content-disposition"] == (
        "attachment; filename=\"a%22b %C3%A9\"; filename*=UTF-8''a%22b%20%C3%A9"
    )
    assert url(keyed, "GET", "box/dir/o.txt", inline="").headers["content-disposition"] == "inline"


@pytest.mark.parametrize("signed", ["GET", "PUT", "POST", "HEAD", "DELETE"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "HEAD", "DELETE"])
def test_a_signature_is_for_one_method(keyed: Doors, method: str, signed: str) -> None:
    signature = sign(signed, "/v1/AUTH_p1/box/dir/o.txt").hex()
    answer = url(keyed, method, body=b"" if method in ("PUT", "POST") else None, temp_url_sig=signature)
    good = method == signed or (method == "HEAD" and signed in ("GET", "PUT", "POST"))
    assert (answer.status < 300) == good
    assert good or answer.status == 401


@pytest.mark.parametrize(
    "query",
    [
        {"temp_url_sig": "0" * 64},
        {"temp_url_sig": ""},
        {"temp_url_sig": "é" * 64},
        {"temp_url_sig": sign("GET", "/v1/AUTH_p1/box/dir/o.txt", digest="sha1").hex()},
        {"temp_url_expires": str(NOW)},
        {"temp_url_expires": "soon"},
        {"temp_url_expires": "9" * 40},
        {"temp_url_ip_range": "127.0.0.1"},
        {"temp_url_prefix": "dir"},
        {"temp_url_sig": sign("GET", "/v1/AUTH_p1/box/dir/o.txt", key=b"other").hex()},
    ],
)
def test_signatures_that_do_not_hold(keyed: Doors, query: dict[str, str]) -> None:
    answer = url(keyed, "GET", **query)
    assert answer.status == 401
    assert b"hello" not in answer.body


def test_forms_of_signatures(keyed: Doors) -> None:
    path = "/v1/AUTH_p1/box/dir/o.txt"
    raw = sign("GET", path)
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
        assert url(keyed, "GET", temp_url_sig="sha256:" + encoded.decode()).status == 200
    assert url(keyed, "GET", temp_url_sig=sign("GET", path, digest="sha512").hex()).status == 200
    assert url(keyed, "GET", temp_url_expires="2026-01-01T00:01:00Z").status == 200
    prefix = sign("GET", "prefix:/v1/AUTH_p1/box/di").hex()
    assert url(keyed, "GET", temp_url_sig=prefix, temp_url_prefix="di").status == 200
    assert url(keyed, "GET", "box/no", temp_url_sig=prefix, temp_url_prefix="di").status == 401
    ranged = sign("GET", path, head="ip=127.0.0.0/8\n").hex()
    assert url(keyed, "GET", temp_url_sig=ranged, temp_url_ip_range="127.0.0.0/8").status == 200
    away = sign("GET", path, head="ip=10.0.0.0/8\n").hex()
    assert url(keyed, "GET", temp_url_sig=away, temp_url_ip_range="10.0.0.0/8").status == 401


def test_sha1_by_setting_only(db: Database, tmp_path: Path, clock: FakeClock) -> None:
    with doors(db, tmp_path, clock, tempurl_sha1=True) as door:
        door.swift("PUT", "box", headers={"X-Container-Meta-Temp-Url-Key": KEY.decode()})
        door.swift("PUT", "box/dir/o.txt", b"hello")
        signature = sign("GET", "/v1/AUTH_p1/box/dir/o.txt", digest="sha1").hex()
        assert url(door, "GET", temp_url_sig=signature).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"X-Object-Manifest": "other/s"}, {"X-Symlink-Target": "other/secret"}, {"X-Copy-From": "other/secret"}],
)
def test_a_signed_put_reaches_nothing_else(keyed: Doors, headers: dict[str, str]) -> None:
    assert url(keyed, "PUT", "box/new", b"", headers).status == 400
    assert keyed.swift("GET", "box/new").status == 404
    assert url(keyed, "PUT", "box/new", b"data").status == 201
    assert keyed.swift("GET", "box/new").body == b"data"


def test_a_signed_post_makes_no_manifest(keyed: Doors) -> None:
    assert url(keyed, "POST", headers={"X-Object-Meta-A": "2"}).status == 202
    assert url(keyed, "POST", headers={"X-Object-Manifest": "other/sec"}).status == 400
    assert keyed.swift("GET", "box/dir/o.txt").body == b"hello"


def test_a_containers_key_stays_in_the_container(keyed: Doors) -> None:
    keyed.swift("POST", "box", headers={"X-Container-Meta-Temp-Url-Key-2": "own"})
    keyed.swift("PUT", "box/in", b"", {"X-Symlink-Target": "box/dir/o.txt"})
    keyed.swift("PUT", "box/out", b"", {"X-Symlink-Target": "other/secret"})

    def read(path: str, key: bytes) -> Answer:
        return url(keyed, "GET", path, temp_url_sig=sign("GET", f"/v1/AUTH_p1/{path}", key=key).hex())

    assert read("box/in", b"own").body == b"hello"
    assert read("box/out", b"own").status == 403
    assert read("other/secret", b"own").status == 401
    assert read("box/out", KEY).body == b"secret"


def form(fields: dict[str, str], files: dict[str, bytes], boundary: str = "--b--") -> tuple[bytes, str]:
    start = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{start}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    for number, (name, data) in enumerate(files.items()):
        head = f'{start}"f{number}"; filename="{name}"\r\nContent-Type: x/y\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def post(
    door: Doors, files: dict[str, bytes], path: str = "box/pre/", headers: dict[str, str] | None = None, **changed: str
) -> Answer:
    fields = {"redirect": "", "max_file_size": "1000", "max_file_count": "2", "expires": str(NOW + 60)}
    fields |= {name: value for name, value in changed.items() if name in fields}
    text = "\n".join([f"/v1/AUTH_p1/{path}", *fields.values()])
    fields["signature"] = hmac.new(KEY, text.encode(), "sha256").hexdigest()
    body, kind = form({**fields, **changed}, files)
    return door.swift("POST", path, body, {**(headers or {}), "Content-Type": kind}, token=None)


def test_form_post(keyed: Doors) -> None:
    assert post(keyed, {"a.bin": b"one\r\n--x", "b é": b"" * 0}, x_delete_after="60").status == 201
    assert keyed.swift("GET", "box/pre/a.bin").body == b"one\r\n--x"
    head = keyed.swift("HEAD", "box/pre/a.bin").headers
    assert (head["content-type"], head["x-delete-at"]) == ("x/y", str(NOW + 60))
    assert keyed.swift("HEAD", "box/pre/b é").status == 200
    assert post(keyed, {"c": b"1"}, path="box").status == 201
    assert keyed.swift("GET", "box/c").body == b"1"
    moved = post(keyed, {"d": b"1"}, redirect="http://x.example/?a=b")
    assert (moved.status, moved.headers["location"]) == (303, "http://x.example/?a=b&status=201&message=")


def test_the_headers_of_a_form_post_are_not_signed_and_do_not_count(keyed: Doors) -> None:
    more = {"X-Object-Manifest": "other/sec", "X-Object-Meta-A": "1", "X-Delete-After": "5", "Etag": "0" * 32}
    assert post(keyed, {"a": b"one"}, headers=more).status == 201
    read = keyed.swift("GET", "box/pre/a")
    assert read.body == b"one"
    assert not {"x-object-manifest", "x-object-meta-a", "x-delete-at"} & set(read.headers)


@pytest.mark.parametrize(
    ("files", "changed", "status"),
    [
        ({"a": b"x" * 1001}, {}, 413),
        ({"a": b"1", "b": b"2", "c": b"3"}, {}, 400),
        ({}, {}, 400),
        ({"a": b"1"}, {"signature": "0" * 64}, 401),
        ({"a": b"1"}, {"signature": ""}, 401),
        ({"a": b"1"}, {"expires": str(NOW - 1)}, 401),
        ({"a": b"1"}, {"expires": "soon"}, 400),
        ({"a": b"1"}, {"max_file_size": "big"}, 400),
        ({"a": b"1"}, {"x_delete_at": "1"}, 400),
        ({"a" * 1025: b"1"}, {}, 400),
        ({"a": b"1"}, {"content-encoding": "x\nX-Evil: y"}, 400),
        ({"a\0": b"1"}, {}, 412),
    ],
)
def test_form_posts_that_are_refused(
    keyed: Doors, files: dict[str, bytes], changed: dict[str, str], status: int
) -> None:
    assert post(keyed, files, **changed).status == status
    stored = keyed.swift("GET", "box", query="prefix=pre/").text.split()
    assert stored == (["pre/a", "pre/b"] if len(files) == 3 else [])


BROKEN = [b"", b"--b--", b"--b\r\n\r\n", b"--b\r\nContent-Disposition: form-data", b"x" * 70_000]


@pytest.mark.parametrize("body", BROKEN)
def test_broken_forms(keyed: Doors, body: bytes) -> None:
    answer = keyed.swift("POST", "box", body, {"Content-Type": "multipart/form-data; boundary=b"}, token=None)
    assert answer.status in (400, 401)
    assert keyed.swift("POST", "box", body, {"Content-Type": "multipart/form-data"}, token=None).status == 400


@pytest.fixture
def site(door: Doors) -> Doors:
    meta = {
        "X-Container-Read": ".r:*,.rlistings", "X-Container-Meta-Web-Index": "index.html",
        "X-Container-Meta-Web-Error": "error.html", "X-Container-Meta-Web-Listings": "true",
        "X-Container-Meta-Web-Listings-Css": "s.css",
    }  # fmt: skip
    door.swift("POST", "box", headers=meta)
    door.swift("PUT", "box/sub/<b>.txt", b"x")
    door.swift("PUT", "box/404error.html", b"gone")
    return door


def test_website(site: Doors) -> None:
    def get(path: str, token: str | None = None, **headers: str) -> Answer:
        return site.swift("GET", path, headers=headers, token=token)

    moved = get("box")
    assert (moved.status, moved.headers["location"]) == (301, "/v1/AUTH_p1/box/")
    page = get("box/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    assert '<a href="./sub/">sub/</a>' in page.text
    assert '<link rel="stylesheet" type="text/css" href="s.css" />' in page.text
    below = get("box/sub/")
    assert "&lt;b&gt;.txt" in below.text
    assert "<b>.txt" not in below.text
    assert 'href="../s.css"' in below.text
    assert get("box/sub").status == 301
    missing = get("box/none")
    assert (missing.status, missing.body) == (404, b"gone")
    site.swift("PUT", "box/mark", b"", {"Content-Type": "application/directory"})
    assert get("box/mark").body == b"gone"
    site.swift("PUT", "box/mark/x", b"")
    assert get("box/mark").status == 301
    site.swift("PUT", "box/index.html", b"front")
    site.swift("PUT", "box/sub/index.html", b"below")
    assert get("box/").body == b"front"
    assert get("box/sub/").body == b"below"
    assert get("box", "member").headers["content-type"].startswith("text/plain")
    assert get("box/", "member", **{"X-Web-Mode": "true"}).body == b"front"


def test_website_listing_needs_the_right_to_list(site: Doors) -> None:
    site.swift("POST", "box", headers={"X-Container-Read": ".r:*"})
    assert site.swift("GET", "box/", token=None).status == 401
    assert site.swift("GET", "box/sub", token=None).status == 404, "the prefix may not show"
    assert site.swift("GET", "box/sub/<b>.txt", token=None).body == b"x"
    site.swift("PUT", "box/401error.html", b"who are you")
    refused = site.swift("GET", "box/sub/", token=None)
    assert (refused.status, refused.body) == (401, b"who are you")
    site.swift("POST", "box", headers={"X-Container-Read": ""})
    closed = site.swift("GET", "box/sub/<b>.txt", token=None)
    assert (closed.status, b"who are you" in closed.body) == (401, False)
