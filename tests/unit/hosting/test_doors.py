"""Every route of every hosting service: closed to nobody, documented, ruled, and unbroken by garbage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.app import hosting
from andromede.db import Database, open_database
from andromede.identity import passwords
from andromede.web.api import Mount
from andromede.web.routes import Route
from tests.support.clock import FakeClock
from tests.support.hosted_api import Hosted

MISSING = "00000000-0000-4000-8000-000000000000"
GARBAGE: tuple[object, ...] = (
    b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"x": 1}', b"\xff\xfe", b'{"a": {"b": [[[]]]}}',
)  # fmt: skip


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    folder: Path = tmp_path_factory.mktemp("doors")
    memory, passes = passwords.MEMORY_KIB, passwords.PASSES
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    db: Database = open_database(f"sqlite:///{folder}/test.db")
    made = Hosted(db, folder / "data", FakeClock())
    yield made
    made.site.close()
    db.close()
    passwords.MEMORY_KIB, passwords.PASSES = memory, passes


def every(hosted: Hosted) -> list[tuple[Mount, Route]]:
    return [(mount, route) for mount in hosted.mounts for route in mount.routes]


def place(mount: Mount, route: Route, value: str = MISSING) -> str:
    return mount.prefix + re.sub(r"\{\w+\}", value, route.path)


def versions(mount: Mount, route: Route) -> dict[str, str]:
    """The header for a microversion at which the route exists."""
    if mount.microversions is None:
        return {}
    low, high = route.versions
    version = high or max(low or mount.microversions.low, mount.microversions.low)
    return {"openstack-api-version": f"{mount.microversions.word} {version[0]}.{version[1]}"}


def test_there_are_services_and_every_route_is_documented_and_ruled(hosted: Hosted) -> None:
    rules = {action for table in hosting.tables() for action in table.rules}
    pairs = every(hosted)
    for mount, route in pairs:
        assert route.doc, f"{mount.type} {route.method} {route.path} has no documentation"
        assert route.action in rules, f"{route.action} has no rule"
    unused = rules - {route.action for _, route in pairs}
    assert not {action for action in unused if not action.endswith(":other")}, unused


def test_nobody_gets_in(hosted: Hosted) -> None:
    for mount, route in every(hosted):
        if route.public:
            continue
        answer = hosted.call(route.method, place(mount, route), None, {}, versions(mount, route))
        assert answer.status == 401, f"{mount.type} {route.method} {route.path}: {answer.status}"
        assert "x-openstack-request-id" in answer.headers


def test_a_reader_changes_nothing(hosted: Hosted) -> None:
    before = {table: hosted.db.all(f"SELECT count(*) FROM {table}") for table in tables(hosted)}
    for mount, route in every(hosted):
        if route.public or route.method in ("GET", "HEAD"):
            continue
        answer = hosted.call(route.method, place(mount, route), hosted.reader, {}, versions(mount, route))
        assert answer.status in (400, 403, 404, 405, 409, 413, 415, 501), (
            f"{mount.type} {route.method} {route.path} was {answer.status} for a reader"
        )
    assert before == {table: hosted.db.all(f"SELECT count(*) FROM {table}") for table in tables(hosted)}


def tables(hosted: Hosted) -> list[str]:
    """The tables of hosting."""
    sql = "".join(step.sql for step in hosting.migrations())
    return re.findall(r"CREATE TABLE (\w+)", sql)


@pytest.mark.parametrize("who", ["member", "admin"])
def test_garbage_breaks_nothing(hosted: Hosted, who: str) -> None:
    token = getattr(hosted, who)
    for mount, route in every(hosted):
        for value in (MISSING, "x" * 300, "%00", "%F0%9F%90%A7", "..", "-1"):
            headers = versions(mount, route)
            for body in GARBAGE if route.method not in ("GET", "HEAD") and value == MISSING else (b"",):
                answer = hosted.call(route.method, place(mount, route, value), token, body, headers)
                assert answer.status < 500 or answer.status in (501, 503), (
                    f"{mount.type} {route.method} {route.path} {value} {body!r}: {answer.status} {answer.raw[:300]!r}"
                )


def test_garbage_in_queries_breaks_nothing(hosted: Hosted) -> None:
    words = (
        "limit=-1", "limit=x", "marker=nothing", "sort_key=%00", "sort=x:y", "fields=%F0%9F", "name=%27%22--", "a=b",
        "limit=0", "changes-since=yesterday", "page_reverse=x", "offset=-3", "all_tenants=x", "status=%25",
    )  # fmt: skip
    for mount, route in every(hosted):
        if route.method != "GET":
            continue
        for word in words:
            answer = hosted.call("GET", f"{place(mount, route)}?{word}", hosted.member, b"", versions(mount, route))
            assert answer.status < 500 or answer.status in (501, 503), (
                f"{mount.type} {route.path}?{word}: {answer.status} {answer.raw[:300]!r}"
            )
