"""Whatever comes in, the Swift door answers below 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andromede.db import Database
from andromede.objects.swift.call import HEADERS, PREFIXES
from tests.support.clock import FakeClock
from tests.support.doors import Doors, doors

METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "COPY", "OPTIONS", "PATCH", "X"])
PATHS = st.one_of(
    st.sampled_from(["", "box", "box/", "box/o", "box/slo", "none", "none/o", "box/a/b"]),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
NAMES = st.sampled_from(sorted(HEADERS - {"content-length"}) + [name + "x" for name in PREFIXES])
VALUES = st.one_of(
    st.sampled_from(["", "*", "true", "0", "-1", "box/o", "/box/o", "bytes=0-1", "bytes=-0,,", ".r:*", "text/plain"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40),
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["limit", "marker", "end_marker", "prefix", "delimiter", "path", "reverse", "format", "versions", "version-id",
         "multipart-manifest", "symlink", "part-number", "bulk-delete", "extract-archive", "heartbeat", "temp_url_sig",
         "temp_url_expires", "temp_url_prefix", "temp_url_ip_range", "filename", "inline", "version_marker", "async"]
    ),
    st.one_of(
        st.sampled_from(["", "1", "put", "get", "delete", "json", "xml", "tar", "tar.gz", "true", "null"]), VALUES
    ),
    max_size=4,
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200), st.sampled_from([b"", b"[]", b'[{"path":"box/o"}]', b"box/o\nbox\n", b"[[[", b"\x1f\x8b"])
)


@pytest.fixture
def fuzzed(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Doors]:
    with doors(db, tmp_path, clock) as found:
        for name in ("box", "arch"):
            found.swift("PUT", name)
        yield found


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=METHODS, path=PATHS, query=QUERIES, headers=st.dictionaries(NAMES, VALUES, max_size=5), body=BODIES,
    token=st.sampled_from(["member", "member", "member", "stranger", "reseller", None]),
)  # fmt: skip
def test_no_request_breaks_the_door(
    fuzzed: Doors,
    method: str,
    path: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
) -> None:
    headers.pop("x-auth-token", None)
    query = {name: value.encode("latin-1", "replace").decode("latin-1") for name, value in query.items()}
    answer = fuzzed.swift(method, path, body, headers, query=query, token=token)
    assert 200 <= answer.status < 500, (answer.status, answer.body)
    for name, value in answer.headers.items():
        assert "\n" not in name + value
        assert "\r" not in name + value


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.binary(max_size=40), query=st.binary(max_size=40))
def test_no_target_breaks_the_door(fuzzed: Doors, path: bytes, query: bytes) -> None:
    escaped = "".join(f"%{byte:02x}" if byte <= 32 or byte >= 127 or byte == 63 else chr(byte) for byte in path)
    text = "".join(f"%{byte:02x}" if byte <= 32 or byte >= 127 else chr(byte) for byte in query)
    given_headers = {"X-Auth-Token": "member"}
    for prefix in ("/v1/", "/v1/AUTH_p1/", "/v1/AUTH_p1/box/"):
        answer = fuzzed.send(fuzzed.swift_door, "GET", prefix + escaped, text, given_headers, b"")
        assert 200 <= answer.status < 500
