"""Lifecycle rules: what may be stored, and what is due when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from andromede.clock import US
from andromede.config import Config
from andromede.errors import Invalid
from andromede.objects.lifecycle import (
    DAY_SECONDS,
    Filter,
    Place,
    Rule,
    abandoned,
    abort_due,
    due_us,
    expired,
    expiry,
)
from andromede.objects.model import Attributes, Kind, Upload, Version
from andromede.objects.s3.lifecycle import abort_headers, expiration_header
from andromede.objects.s3.lifecycle_xml import rules, rules_of, stored_form
from andromede.objects.s3.xml import parse
from tests.support.access import container, version
from tests.support.clock import FakeIds

DAY = DAY_SECONDS * US
NOON = 20_000 * DAY + DAY // 2


def document(*inner: str) -> bytes:
    body = "".join(f"<Rule>{each}</Rule>" for each in inner)
    return f'<LifecycleConfiguration xmlns="x">{body}</LifecycleConfiguration>'.encode()


def read(*inner: str) -> list[Rule]:
    return rules(parse(document(*inner), "LifecycleConfiguration"))


def e(name: str, *inner: str) -> str:
    return f"<{name}>{''.join(inner)}</{name}>"


def tag(key: str, value: str) -> str:
    return e("Tag", e("Key", key), e("Value", value))


MARKER = e("ExpiredObjectDeleteMarker", "true")
KEEP_101 = e("NoncurrentVersionExpiration", e("NoncurrentDays", "1"), e("NewerNoncurrentVersions", "101"))
SIZES = e("ObjectSizeLessThan", "3") + e("ObjectSizeGreaterThan", "2")
ABORT = e("AbortIncompleteMultipartUpload", e("DaysAfterInitiation", "1"))
ON = "<Status>Enabled</Status>"
P = "<Prefix>p/</Prefix>"
DAYS = "<Expiration><Days>1</Days></Expiration>"


def made(key: str = "p/k", created: int = NOON, kind: Kind = Kind.DATA, **more: Any) -> Version:
    attributes = Attributes(kind=kind, tags={"a": "b"})
    return msgspec.structs.replace(version(), key=key, created_us=created, attributes=attributes, size=100, **more)


def test_all_parts_of_a_rule_are_read() -> None:
    (rule,) = read(
        f"<ID>one</ID><Status>Disabled</Status><Filter><And>{P}<Tag><Key>a</Key><Value>b</Value></Tag>"
        "<ObjectSizeGreaterThan>10</ObjectSizeGreaterThan><ObjectSizeLessThan>20</ObjectSizeLessThan></And></Filter>"
        f"{DAYS}<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>"
        "<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>"
    )
    assert rule == Rule("one", False, Filter("p/", (("a", "b"),), 10, 20), 1, None, False, 3, 5, None)
    (rule,) = read(
        f"{P}{ON}<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    )
    assert rule.abort_days == 2
    (rule,) = read(f"<Filter/>{ON}<Expiration><Date>2017-09-27T00:00:00.000Z</Date></Expiration>")
    assert rule.filter == Filter()
    assert rule.date_us == 1_506_470_400 * US
    (rule,) = read(
        f"<Filter>{P}</Filter>{ON}<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
    )
    assert rule.expired_marker


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ((), "malformed_xml"),
        ((f"<ID>{'x' * 256}</ID>{P}{ON}{DAYS}",), "invalid_argument"),
        ((f"<ID>a</ID>{P}{ON}{DAYS}", f"<ID>a</ID>{P}{ON}{DAYS}"), "invalid_argument"),
        ((f"{P}<Status>enabled</Status>{DAYS}",), "malformed_xml"),
        ((f"{P}{DAYS}",), "malformed_xml"),
        ((f"{ON}{DAYS}",), "malformed_xml"),
        ((f"{P}<Filter/>{ON}{DAYS}",), "malformed_xml"),
        ((f"{P}{ON}",), "invalid_request"),
        ((f"{P}{ON}<Expiration><Days>0</Days></Expiration>",), "invalid_argument"),
        ((f"{P}{ON}<Expiration><Days>-1</Days></Expiration>",), "invalid_argument"),
        ((f"{P}{ON}<Expiration><Days>99999999999</Days></Expiration>",), "invalid_argument"),
        ((f"{P}{ON}<Expiration><Days>--1</Days></Expiration>",), "malformed_xml"),
        ((f"{P}{ON}<Expiration><Days>²</Days></Expiration>",), "malformed_xml"),
        ((f"{P}{ON}<Expiration><Days>1</Days><Date>2020-01-01</Date></Expiration>",), "malformed_xml"),
        ((f"{P}{ON}<Expiration/>",), "malformed_xml"),
        ((f"{P}{ON}<Expiration><Date>2020-01-01T00:00:01Z</Date></Expiration>",), "invalid_argument"),
        ((f"{P}{ON}<Expiration><Date>20-1-1</Date></Expiration>",), "malformed_xml"),
        ((f"{P}{ON}{e('Expiration', MARKER.replace('true', '1'))}",), "malformed_xml"),
        ((f"{P}{ON}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>",), "storage_class"),
        ((f"{P}{ON}{e('Transition', e('Date', '2020-01-01T00:00:09Z'), e('StorageClass', 'X'))}",), "invalid_argument"),
        ((f"{P}{ON}<NoncurrentVersionExpiration/>",), "malformed_xml"),
        ((f"{P}{ON}{KEEP_101}",), "invalid_argument"),
        ((f"{e('Filter', tag('a', 'b'))}{ON}{ABORT}",), "invalid_request"),
        ((f"{e('Filter', tag('a', 'b'))}{ON}{e('Expiration', MARKER)}",), "invalid_request"),
        ((f"{e('Filter', e('And', tag('a', 'b'), tag('a', 'c')))}{ON}{DAYS}",), "invalid_request"),
        ((f"{e('Filter', SIZES)}{ON}{DAYS}",), "invalid_request"),
        ((f"<Filter><Prefix>a</Prefix><And><Prefix>b</Prefix></And></Filter>{ON}{DAYS}",), "malformed_xml"),
        ((f"{P}{ON}{DAYS}<Unknown/>",), "malformed_xml"),
    ],
)  # fmt: skip
def test_what_may_not_be_stored(inner: tuple[str, ...], reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(*inner)
    assert caught.value.reason == reason


def test_ids_are_made_and_the_rest_is_kept_as_given() -> None:
    root = parse(document(f"{P}{ON}{DAYS}", f"<ID>mine</ID><Filter/>{ON}{DAYS}"), "LifecycleConfiguration")
    kept = stored_form(root, FakeIds())
    ids = [rule.id for rule in rules(parse(kept, "LifecycleConfiguration"))]
    assert ids[1] == "mine"
    assert len(ids[0]) == 36
    assert b"<Prefix>p/</Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>" in kept


def test_days_are_rounded_up_to_midnight() -> None:
    assert due_us(NOON, 1) == 20_002 * DAY
    assert due_us(20_000 * DAY, 1) == 20_001 * DAY
    assert due_us(NOON, 1, 10) == NOON + 10 * US


def test_the_header_names_the_earliest_rule() -> None:
    two = [Rule("late", True, Filter("p/"), days=9), Rule("early", True, Filter("p"), days=2)]
    assert expiry(two, made()) == (20_003 * DAY, "early")
    assert expiry(two, made("q")) is None
    assert expiry([Rule("off", False, Filter(), days=1)], made()) is None
    assert expiry([Rule("date", True, Filter(), date_us=5)], made()) == (5, "date")
    assert expiry([Rule("big", True, Filter(larger_than=100), days=1)], made()) is None
    assert expiry([Rule("tag", True, Filter(tags=(("a", "c"),)), days=1)], made()) is None


def due(rule: Rule, what: Version, place: Place, now: int) -> bool:
    return expired([rule], what, place, now, DAY_SECONDS) is rule


def test_current_versions() -> None:
    rule = Rule("r", True, Filter("p/"), days=1)
    assert not due(rule, made(), Place(), 20_002 * DAY - 1)
    assert due(rule, made(), Place(), 20_002 * DAY)
    dated = Rule("d", True, Filter(), date_us=20_001 * DAY)
    assert due(dated, made(), Place(), 20_001 * DAY)
    assert not due(dated, made(), Place(), 20_001 * DAY - 1)


def test_noncurrent_versions_count_from_their_successor_and_some_are_kept() -> None:
    rule = Rule("r", True, Filter(), noncurrent_days=1, newer_noncurrent=2)
    old = made(created=NOON - 100 * DAY)
    assert not due(rule, old, Place(noncurrent_index=1, newer_us=NOON), 30_000 * DAY)
    assert not due(rule, old, Place(noncurrent_index=2, newer_us=NOON), 20_001 * DAY)
    assert due(rule, old, Place(noncurrent_index=2, newer_us=NOON), 20_002 * DAY)
    assert not due(Rule("c", True, Filter(), days=1), old, Place(noncurrent_index=0, newer_us=NOON), 30_000 * DAY)
    assert not due(rule, old, Place(), 30_000 * DAY)


def test_markers_go_only_when_alone() -> None:
    marker = made(kind=Kind.MARKER)
    expired_marker = Rule("m", True, Filter("p/"), expired_marker=True)
    assert due(expired_marker, marker, Place(alone=True), NOON)
    assert not due(expired_marker, marker, Place(alone=False), NOON)
    assert not due(expired_marker, made("q", kind=Kind.MARKER), Place(alone=True), NOON)
    days = Rule("d", True, Filter(), days=1)
    assert not due(days, marker, Place(alone=False), 30_000 * DAY)
    assert not due(days, marker, Place(alone=True), NOON)
    assert due(days, marker, Place(alone=True), 30_000 * DAY)
    assert not due(Rule("t", True, Filter(tags=(("a", "b"),)), days=1), marker, Place(alone=True), 30_000 * DAY)
    assert not due(expired_marker, made(), Place(alone=True), NOON)


def test_uploads() -> None:
    upload = Upload("u", 1, "p/k", "v", "o", "o", NOON, Attributes(), None, None)
    rule = Rule("a", True, Filter("p/"), abort_days=1)
    assert abandoned([rule], upload, 20_002 * DAY, DAY_SECONDS) is rule
    assert abandoned([rule], upload, 20_002 * DAY - 1, DAY_SECONDS) is None
    assert abandoned([Rule("b", True, Filter("q"), abort_days=1)], upload, 30_000 * DAY, DAY_SECONDS) is None
    assert abort_due([rule], "p/k", NOON, DAY_SECONDS) == (20_002 * DAY, "a")
    assert abort_due([rule], "q", NOON, DAY_SECONDS) is None


def test_headers() -> None:
    config = Config(Path("data"))
    upload = Upload("u", 1, "p/k", "v", "o", "o", NOON, Attributes(), None, None)
    plain = container()
    assert expiration_header(plain, made(), config) is None
    assert abort_headers(plain, upload, config) == []
    box = container(documents={"lifecycle": document(f"<ID>a b</ID>{P}{ON}{DAYS}")})
    assert [rule.id for rule in rules_of(box)] == ["a b"]
    assert (
        expiration_header(box, made(created=0), config)
        == 'expiry-date="Fri, 02 Jan 1970 00:00:00 GMT", rule-id="a%20b"'
    )
    assert expiration_header(box, made(is_latest=False), config) is None
    assert abort_headers(box, upload, config) == []
    aborting = container(documents={"lifecycle": document(f"<ID>x</ID>{P}{ON}{ABORT}")})
    assert dict(abort_headers(aborting, upload, config)) == {
        "x-amz-abort-date": "Sun, 06 Oct 2024 00:00:00 GMT",
        "x-amz-abort-rule-id": "x",
    }
