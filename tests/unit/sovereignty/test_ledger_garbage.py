"""Nothing that a client sends to the ledger's routes makes it stumble."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest

from andromede.sovereignty.routes import routes
from tests.support.tenantlog import TenantLog

VALUES = (
    "%00",
    "%ff",
    "x" * 3000,
    "-1",
    "%D9%A3",
    "..",
    "9" * 18,
    "9" * 40,
    "0" * 16,
    quote("é/ü"),
    "req-",
    "%2F",
    "000",
)
BODIES = (
    b"", b"\xff\xfe", b"{}", b"[]", b"null", b"[" * 5000, b'{"witnesses":[[]]}', b"quorum none\r\n", b"\x00quorum none",
    b'{"witnesses":[{"name":"\\ud800","key":"a+b+c"}]}', b'{"witnesses":[],"quorum":-1}',
    b'{"witnesses":[],"quorum":1e99}',
    b"witness a b c\n" * 2000, "quorum \u2028none".encode(), b"group a any a\nquorum a",
)  # fmt: skip
QUERIES = (
    "",
    "from=%ff",
    "from=1&to=0",
    "newest=",
    "old=9&size=8",
    "limit=x",
    "witnessed=%C3%A9",
    "after=%F0%9F%9A%80",
)


@pytest.mark.parametrize("who", ["max", "ivo", "admin"])
def test_odd_paths_bodies_and_queries(tenantlog: TenantLog, who: str) -> None:
    log = tenantlog
    log.record(3)
    log.sequence()
    seen = set()
    for number, route in enumerate(routes):
        value = itertools.cycle(VALUES[number % len(VALUES) :] + VALUES[: number % len(VALUES)])
        for body, query in itertools.zip_longest(BODIES, QUERIES, fillvalue=""):
            parts = route.path.removeprefix("/v1").split("/")
            path = "/".join(next(value) if part.startswith("{") else part for part in parts)
            raw = body if isinstance(body, bytes) else b""
            answer = log.call(route.method, f"{path}?{query}" if query else path, who, raw)
            assert 200 <= answer.status < 500, f"{route.method} {path}: {answer.status}"
            seen.add(answer.status)
            if answer.status >= 400:
                assert len(answer.json["error"]["message"]) > 15
    assert {200, 400, 404} <= seen
