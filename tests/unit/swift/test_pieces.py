"""The parts of the Swift door that need no store: names, times, ranges, conditions, listings."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from andromede.errors import Error, Invalid, NotFound
from andromede.objects.swift import conditions, listing, metadata, ranges
from andromede.objects.swift.conditions import Verdict
from andromede.objects.swift.place import Place, parse_path, parse_query, split_name, text
from andromede.objects.swift.times import last_modified, listed, parse_date, timestamp


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"/v1/AUTH_a", Place("v1", "AUTH_a")),
        (b"/v1/AUTH_a/", Place("v1", "AUTH_a")),
        (b"/v1.0/AUTH_a/c", Place("v1.0", "AUTH_a", "c")),
        (b"/v1/AUTH_a/c/", Place("v1", "AUTH_a", "c")),
        (b"/v1/AUTH_a/c/o", Place("v1", "AUTH_a", "c", "o")),
        (b"/v1/AUTH_a/c//o/../x%2Fy/", Place("v1", "AUTH_a", "c", "/o/../x/y/")),
        (b"/v1/AUTH_a/%C3%A9/%F0%9F%98%80", Place("v1", "AUTH_a", "é", "😀")),
    ],
)
def test_paths_are_split_once_and_never_normalised(raw: bytes, place: Place) -> None:
    assert parse_path(raw) == place


@pytest.mark.parametrize("raw", [b"/v1/AUTH_a/%ff", b"/v1/AUTH_a/c/a%00b", b"/v1", b"/v2/AUTH_a", b"x"])
def test_paths_that_name_nothing_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        parse_path(raw)


def test_an_empty_container_name_is_not_found() -> None:
    with pytest.raises(NotFound):
        parse_path(b"/v1/AUTH_a//o")


def test_account_prefix_names_the_project() -> None:
    assert Place("v1", "AUTH_p1", "c", "o").project_id == "p1"
    assert Place("v1", "SERVICE_p1").project_id == ""
    assert [Place("v1", "a").level, Place("v1", "a", "b").level, Place("v1", "a", "b", "c").level] == [
        "account", "container", "object",
    ]  # fmt: skip


def test_query_parameters() -> None:
    params = parse_query(b"a=1&b&c=x+y%2B&a=2&bad=%ff&nul=%00")
    assert params == {"a": "2", "b": "", "c": "x y+", "bad": "\udcff", "nul": "\0"}
    assert text(params, "c") == "x y+"
    for name in ("bad", "nul"):
        with pytest.raises(Invalid, match="not valid UTF-8"):
            text(params, name)
    with pytest.raises(Invalid):
        parse_query(b"&".join(b"a=%d" % n for n in range(100)))


def test_names_in_headers() -> None:
    assert split_name("/c%20d/a/b%2Fc", "Destination") == ("c d", "a/b/c")
    for bad in ("", "c", "/c", "c/", "%ff/x"):
        with pytest.raises(Invalid):
            split_name(bad, "Destination")


def test_instants() -> None:
    us = 1_767_225_600_000_001
    assert timestamp(us) == "1767225600.00000"
    assert timestamp(us + 123_456) == "1767225600.12345"
    assert last_modified(us) == "Thu, 01 Jan 2026 00:00:01 GMT"
    assert last_modified(us - 1) == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert listed(us) == "2026-01-01T00:00:00.000001"


@pytest.mark.parametrize(
    "form", ["Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-26 00:00:00 GMT", "Thu Jan  1 00:00:00 2026"]
)
def test_three_forms_of_dates(form: str) -> None:
    assert parse_date(form) == 1_767_225_600


@pytest.mark.parametrize("form", ["", "garbage", "x" * 100, "Thu, 99 Jan 2026", "Thu, 01 Foo 2026 00:00:00 GMT"])
def test_other_dates_say_nothing(form: str) -> None:
    assert parse_date(form) is None


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=5-", [(5, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-100", [(0, 10)]),
        ("bytes=8-100", [(8, 10)]),
        ("bytes=0 - 1, 4-5", [(0, 2), (4, 6)]),
        ("bytes=100-200,0-1", [(0, 2)]),
        ("items=0-1", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=-", None),
        ("0-1", None),
        ("bytes=" + "1" * 80 + "-", None),
    ],
)
def test_ranges(header: str, spans: list[tuple[int, int]] | None) -> None:
    assert ranges.parse(header, 10) == spans


@pytest.mark.parametrize(
    "header",
    [
        "bytes=10-", "bytes=-0", "bytes=10-20,30-", "bytes=0-5,1-6,2-7,3-8",
        "bytes=" + ",".join(f"{n % 10}-{n % 10}" for n in range(60)),
        "bytes=" + ",".join(f"{9 - n}-{9 - n}" for n in range(10)),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be_met_or_waste_work(header: str) -> None:
    with pytest.raises(Invalid) as caught:
        ranges.parse(header, 10)
    assert caught.value.reason == "range"


def test_a_range_of_nothing_is_never_met() -> None:
    with pytest.raises(Invalid):
        ranges.parse("bytes=0-", 0)


def test_multipart_length_is_exact() -> None:
    data = bytes(range(100))
    length, chunks = ranges.multipart(
        [(0, 3), (50, 51)], 100, "text/é", "BOUND", lambda a, b: iter([memoryview(data[a:b])])
    )
    body = b"".join(bytes(chunk) for chunk in chunks)
    assert len(body) == length
    assert body.count(b"--BOUND") == 3
    assert body.endswith(b"--BOUND--")
    assert b"Content-Range: bytes 50-50/100\r\n\r\n\x32\r\n" in body


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, Verdict.GO),
        ({"if-match": '"e"'}, Verdict.GO),
        ({"if-match": "e"}, Verdict.GO),
        ({"if-match": '"x", W/"e"'}, Verdict.GO),
        ({"if-match": "*"}, Verdict.GO),
        ({"if-match": '"x"'}, Verdict.FAILED),
        ({"if-match": '"e"', "if-unmodified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, Verdict.GO),
        ({"if-none-match": '"e"'}, Verdict.NOT_MODIFIED),
        ({"if-none-match": "*"}, Verdict.NOT_MODIFIED),
        ({"if-none-match": '"x"', "if-modified-since": "Thu, 01 Jan 2037 00:00:00 GMT"}, Verdict.GO),
        ({"if-modified-since": "Thu, 01 Jan 2037 00:00:00 GMT"}, Verdict.NOT_MODIFIED),
        ({"if-modified-since": "garbage"}, Verdict.GO),
        ({"if-unmodified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}, Verdict.FAILED),
        ({"if-unmodified-since": "Thu, 01 Jan 2037 00:00:00 GMT"}, Verdict.GO),
    ],
)
def test_conditions(headers: dict[str, str], verdict: Verdict) -> None:
    assert conditions.judge(headers.get, "e", 1_767_225_600) is verdict


def test_if_range() -> None:
    now = 1_767_225_600
    assert conditions.range_applies({}.get, "e", now)
    assert conditions.range_applies({"if-range": '"e"'}.get, "e", now)
    assert not conditions.range_applies({"if-range": '"x"'}.get, "e", now)
    assert conditions.range_applies({"if-range": "Thu, 01 Jan 2037 00:00:00 GMT"}.get, "e", now)
    assert not conditions.range_applies({"if-range": "Thu, 01 Jan 2015 00:00:00 GMT"}.get, "e", now)


@pytest.mark.parametrize(
    ("params", "accept", "form"),
    [
        ({}, None, "plain"),
        ({}, "", "plain"),
        ({"format": "JSON"}, "text/plain", "json"),
        ({"format": "other"}, None, "plain"),
        ({}, "application/json", "json"),
        ({}, "text/xml", "text-xml"),
        ({}, "*/*", "plain"),
        ({}, "text/*;q=0.5, application/json", "json"),
        ({}, "application/json;q=0.1,text/plain;q=0.9", "plain"),
        ({}, "application/xml;q=nan-sense, application/json;q=0.2", "json"),
    ],
)
def test_form_of_a_listing(params: dict[str, str], accept: str | None, form: str) -> None:
    assert listing.chosen_format(params, accept) == form


@pytest.mark.parametrize("accept", ["image/png", "garbage", "text/plain;q=0", "a/b," * 500])
def test_accept_that_cannot_be_met(accept: str) -> None:
    with pytest.raises(Invalid):
        listing.chosen_format({}, accept)


def test_listing_parameters() -> None:
    found = listing.parse(
        {"limit": "5", "prefix": "p", "delimiter": "::", "marker": "m", "reverse": "yes", "path": "x"}
    )
    assert (found.limit, found.prefix, found.delimiter, found.marker, found.reverse, found.path) == (
        5, "p", "::", "m", True, "x",
    )  # fmt: skip
    for odd in ("", "abc", "-1", "1.5"):
        assert listing.parse({"limit": odd}).limit == listing.LIMIT
    for beyond in ("10001", "9" * 30):
        with pytest.raises(Invalid) as caught:
            listing.parse({"limit": beyond})
        assert caught.value.reason == "limit"


def test_listing_forms() -> None:
    entries: list[listing.Entry] = [{"name": "a<&\x01é", "bytes": 1}, {"subdir": "d/"}]
    assert listing.render(entries, "plain", ("container", "c"), "object") == "a<&\x01é\nd/\n".encode()
    assert json.loads(listing.render(entries, "json", ("container", "c"), "object")) == entries
    tree = ElementTree.fromstring(listing.render(entries, "xml", ("container", 'c"<'), "object"))
    assert tree.get("name") == 'c"<'
    assert [child.tag for child in tree] == ["object", "subdir"]
    assert tree[0][0].text == "a<&\ufffdé"
    assert tree[1].get("name") == "d/"


def test_metadata_limits() -> None:
    metadata.check({"n" * 128: "v" * 256}, "object")
    metadata.check({f"n{n}": "v" for n in range(90)}, "object")
    bad: list[dict[str, str | None]] = [
        {"": "v"},
        {"n" * 129: "v"},
        {"n": "v" * 257},
        {"n": "\xff"},
        {f"n{n}": "v" for n in range(91)},
        {f"n{n}": "v" * 250 for n in range(17)},
    ]
    for case in bad:
        with pytest.raises(Error):
            metadata.check(case, "object")


def test_metadata_changes() -> None:
    given = metadata.given(
        [
            ("x-container-meta-a", "1"), ("x-container-meta-b", ""), ("x-remove-container-meta-c", "x"),
            ("x-container-meta-c", "kept"), ("x-object-meta-d", "no"),
        ],
        "container",
    )  # fmt: skip
    assert given == {"a": "1", "b": None, "c": "kept"}
    assert metadata.merged({"b": "old", "z": "1"}, given) == {"z": "1", "a": "1", "c": "kept"}
    assert metadata.shown({"foo-bar": "é"}, "object") == [("X-Object-Meta-Foo-Bar", b"\xe9")]
