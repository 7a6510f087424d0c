"""The API port: routing, bodies, errors, headers, pages of its own."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andromede.errors import Denied, Invalid, OverQuota, TooLarge, Unauthenticated
from andromede.log import Log
from andromede.web import paging
from andromede.web.access import AccessTable, Grant
from andromede.web.actor import Actor
from andromede.web.api import Api, Mount, Parts, headers_of, with_mount
from andromede.web.asgi import build_api
from andromede.web.call import Call, HttpRequest, Query, Reply
from andromede.web.dialect import Dialect
from andromede.web.limiter import RateLimiter
from andromede.web.microversions import Microversions
from andromede.web.routes import Routes, Target
from tests.support.clock import FakeClock, FakeIds
from tests.support.cloud import Answer, answer_of

routes: Routes[dict[str, str]] = Routes()


class Thing(msgspec.Struct):
    name: str
    size: int = 0


@routes.add("GET", "/v2/things", "thing:list")
def list_things(call: Call[dict[str, str]]) -> dict[str, Any]:
    """List."""
    rows = [Actor(str(n), "n", "d") for n in range(5)]
    chosen, last = paging.cut(rows, paging.page(call, cap=3), key="user_id")
    more = paging.next_url(call, last.user_id) if last else None
    return {"things": [row.user_id for row in chosen], "next": more}


@routes.add("POST", "/v2/things", "thing:create", body=Thing, status=201)
def create_thing(call: Call[dict[str, str]], body: Thing) -> Reply:
    """Create."""
    return Reply({"name": body.name, "url": call.url}, headers=(("Location", f"{call.base}/{body.name}"),))


@routes.add("GET", "/v2/things/fixed", "thing:fixed", public=True)
def fixed(call: Call[dict[str, str]]) -> dict[str, Any]:
    """A literal beats a parameter."""
    return {"fixed": True, "microversion": call.microversion}


@routes.add("GET", "/v2/things/{name}", "thing:get", target=lambda call, body: Target(user_id=call.params["name"]))
def get_thing(call: Call[dict[str, str]]) -> dict[str, Any]:
    """Show."""
    return {"name": call.params["name"]}


@routes.add("DELETE", "/v2/things/{name}", "thing:delete", status=204)
def delete_thing(call: Call[dict[str, str]]) -> None:
    """Delete."""


@routes.add("GET", "/v2/crash", "thing:fixed", public=True)
def crash(call: Call[dict[str, str]]) -> None:
    """Fail."""
    raise RuntimeError("secret detail")


@routes.add("GET", "/v2/raw", "thing:fixed", public=True, versions=((2, 5), None))
def raw(call: Call[dict[str, str]]) -> Reply:
    """Bytes, from 2.5 on."""
    return Reply(b"bytes", media_type="application/octet-stream")


TABLE = AccessTable(
    {
        "thing:list": (Grant("any"),),
        "thing:create": (Grant("role", "member"),),
        "thing:get": (Grant("self"),),
        "thing:delete": (Grant("cloud", "admin"),),
        "thing:fixed": (Grant("public"),),
    }
)


class Doorman:
    """Tokens are `role:user`."""

    def authenticate(self, call: Call[Any], service_type: str) -> Actor | None:
        token = call.headers.get("x-auth-token")
        if token is None:
            return None
        if ":" not in token:
            raise Unauthenticated("no such token", "token")
        role, user = token.split(":")
        return Actor(user, user, "d", roles=frozenset({role}), project_id="p")

    def admit(self, call: Call[Any]) -> None:
        if not TABLE.admits(call.who, call.action):
            raise Denied("no", "policy")

    def authorize(self, call: Call[Any], target: Target) -> None:
        if not TABLE.allows(call.who, call.action, target):
            raise Denied("no", "policy")


SPOKEN = Microversions("volume", (2, 1), (2, 9), legacy="X-Old-Version")


@routes.add("GET", "/v2/slow", "thing:fixed", public=True, slow=True)
def slow(call: Call[dict[str, str]]) -> dict[str, str]:
    """The thread that serves it."""
    return {"thread": threading.current_thread().name}


@routes.add("GET", "/v2/quick", "thing:fixed", public=True)
def quick(call: Call[dict[str, str]]) -> dict[str, str]:
    """The thread that serves it."""
    return {"thread": threading.current_thread().name}


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def parts(clock: FakeClock, log: io.StringIO) -> Parts:
    mount = Mount("/store", "volume", routes, {}, Dialect("test"), SPOKEN, max_body=1000)
    return Parts([mount], Doorman(), clock, FakeIds(), Log(log, clock=clock), version="1")


@pytest.fixture
def ask(parts: Parts) -> Callable[..., Answer]:
    api = Api(parts)

    def call(method: str, path: str, token: str | None = None, body: bytes = b"", **headers: str) -> Answer:
        sent = {"host": "h:1", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if token:
            sent["x-auth-token"] = token
        where, _, query = path.partition("?")
        return answer_of(api.handle(HttpRequest(method, where.encode("latin-1"), query.encode("latin-1"), sent, body)))

    return call


def test_routing_and_envelopes(ask: Callable[..., Answer]) -> None:
    assert ask("GET", "/store/v2/things/fixed").json["fixed"] is True
    assert ask("GET", "/store/v2/things/a%2Fb", "member:a/b").json == {"name": "a/b"}
    missing = ask("GET", "/store/v2/nothing")
    assert missing.status == 404
    assert missing.json["error"]["title"] == "Not Found"
    wrong = ask("PATCH", "/store/v2/things")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD, POST")
    head = ask("HEAD", "/store/v2/things", "member:u")
    assert head.status == 200
    assert ask("DELETE", "/store/v2/things/x", "admin:u").raw == b""
    assert ask("GET", "/elsewhere").status == 404
    assert all(x.headers["x-openstack-request-id"].startswith("req-") for x in (missing, wrong, head))


def test_creation(ask: Callable[..., Answer]) -> None:
    made = ask("POST", "/store/v2/things?a=b", "member:u", b'{"name": "n"}')
    assert made.status == 201
    assert made.json == {"name": "n", "url": "http://h:1/store/v2/things?a=b"}
    assert made.headers["location"] == "http://h:1/store/n"
    assert ask("POST", "/store/v2/things", "reader:u", b"not json").status == 403
    assert ask("POST", "/store/v2/things", None, b'{"name": "n"}').status == 401
    assert ask("POST", "/store/v2/things", "garbage", b'{"name": "n"}').status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b'{"name": 5}',
        b'{"name": "a", "size": "x"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b"[" * 900,
        b'{"name": "a", "size": 1e999}',
        b'{"name": "a", "size": ' + b"9" * 500 + b"}",
    ],
)
def test_broken_bodies_are_the_clients_fault(ask: Callable[..., Answer], body: bytes) -> None:
    assert ask("POST", "/store/v2/things", "member:u", body).status == 400


@pytest.mark.parametrize("path", ["/store/v2/things/%ff", "/store/v2/things/%00", "/store/v2/things?x=%ff"])
def test_broken_paths(ask: Callable[..., Answer], path: str) -> None:
    assert ask("GET", path, "member:u").status == 400


def test_too_many_query_parameters(ask: Callable[..., Answer]) -> None:
    assert ask("GET", "/store/v2/things?" + "&".join("a=b" for _ in range(1001)), "member:u").status == 400


def test_a_crash_tells_the_request_id_and_nothing_else(ask: Callable[..., Answer], log: io.StringIO) -> None:
    answer = ask("GET", "/store/v2/crash")
    assert answer.status == 500
    assert b"secret detail" not in answer.raw
    assert answer.headers["x-openstack-request-id"] in answer.json["error"]["message"]
    assert "secret detail" in log.getvalue()


def test_microversions(ask: Callable[..., Answer]) -> None:
    path = "/store/v2/things/fixed"
    low = ask("GET", path)
    assert (low.json["microversion"], low.headers["openstack-api-version"]) == ([2, 1], "volume 2.1")
    assert ask("GET", path, openstack_api_version="volume 2.7").json["microversion"] == [2, 7]
    assert ask("GET", path, x_old_version="2.8").headers["x-old-version"] == "2.8"
    assert ask("GET", path, openstack_api_version="volume latest").json["microversion"] == [2, 9]
    assert ask("GET", path, openstack_api_version="compute 9.9").json["microversion"] == [2, 1]
    refused = ask("GET", path, openstack_api_version="volume 3.0")
    assert refused.status == 406 and "maximum is 2.9" in refused.json["error"]["message"]
    assert ask("GET", path, openstack_api_version="volume two").status == 400
    assert ask("GET", "/store/v2/raw").status == 404
    assert ask("GET", "/store/v2/raw", openstack_api_version="volume 2.5").raw == b"bytes"


def test_pages(ask: Callable[..., Answer]) -> None:
    first = ask("GET", "/store/v2/things?limit=2&x=a%20b", "member:u").json
    assert first == {"things": ["0", "1"], "next": "http://h:1/store/v2/things?limit=2&x=a%20b&marker=1"}
    assert ask("GET", "/store/v2/things?limit=900", "member:u").json["things"] == ["0", "1", "2"]
    assert ask("GET", "/store/v2/things?marker=4", "member:u").json == {"things": [], "next": None}
    for bad in ("limit=-1", "limit=x", "limit=²", "marker=77"):
        assert ask("GET", f"/store/v2/things?{bad}", "member:u").status == 400


def test_the_ports_own_pages(parts: Parts, ask: Callable[..., Answer]) -> None:
    assert ask("GET", "/").json["services"] == [{"type": "volume", "url": "http://h:1/store"}]
    assert ask("GET", "/healthz").raw == b"ok\n"
    assert ask("GET", "/readyz").status == 200
    assert ask("POST", "/").status == 405
    parts.ready = lambda: ["the database is away"]
    parts.metrics.add(lambda: [("andromede_test_gauge", 1.0)])
    metrics = ask("GET", "/metrics").raw.decode()
    assert 'andromede_http_requests_total{service="root",method="GET",status="200"} 3' in metrics
    assert "andromede_test_gauge 1.0" in metrics
    assert ask("GET", "/readyz").status == 503


def test_the_first_page_tells_more_where_there_is_more(parts: Parts) -> None:
    parts.about = lambda origin: {"versions": {"values": [origin]}}
    parts.public_url = "https://cloud.example/"
    shown = json.loads(Api(parts).handle(HttpRequest("GET", b"/", b"", {}, b"")).body)
    assert shown["versions"] == {"values": ["https://cloud.example"]}
    assert [service["type"] for service in shown["services"]] == ["volume"]


def test_a_forged_host_does_not_get_into_links(ask: Callable[..., Answer]) -> None:
    assert ask("GET", "/", host='evil"><script>').json["services"][0]["url"] == "http://localhost/store"


def test_a_public_url_stands_in_links(parts: Parts) -> None:
    parts.public_url = "https://cloud.example/"
    answer = Api(with_mount(parts, parts.mounts[0])).handle(HttpRequest("GET", b"/", b"", {}, b""))
    assert json.loads(answer.body)["services"][0]["url"] == "https://cloud.example/store"


def test_dialects_choose_status_by_reason() -> None:
    dialect = Dialect("d", statuses={("invalid", "odd"): 418}, envelope=lambda s, m, e, r: m.encode())
    assert dialect.status(Invalid("x", "odd")) == 418
    assert dialect.status(Invalid("x", "other")) == 400
    status, headers, body = dialect.render(OverQuota("slow", "rate", retry_after=7), "b", "r")
    assert (status, body) == (429, b"slow")
    assert ("Retry-After", "7") in headers
    assert Dialect("k").render(TooLarge("big"), "b", "r")[0] == 413


def test_rate_limits_are_bounded(clock: FakeClock) -> None:
    limiter = RateLimiter(clock, rate=1.0, burst=2, capacity=3)
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(OverQuota) as caught:
        limiter.take("a")
    assert caught.value.detail["retry_after"] >= 1
    clock.advance(1)
    limiter.take("a")
    for key in "bcdef":
        limiter.take(key)
    assert len(limiter) == 3


def test_uses_that_only_count_when_they_fail(clock: FakeClock) -> None:
    limiter = RateLimiter(clock, rate=1.0, burst=2)
    for _ in range(5):
        limiter.check("a")
    limiter.failed("a")
    limiter.failed("a")
    with pytest.raises(OverQuota) as caught:
        limiter.check("a")
    assert caught.value.detail["retry_after"] >= 1
    limiter.check("b")
    clock.advance(1.5)
    limiter.check("a")


def test_what_is_remembered_of_a_key_is_bounded(clock: FakeClock) -> None:
    limiter = RateLimiter(clock, rate=1.0, burst=1)
    limiter.take("\ud800" + "x" * 100_000)
    with pytest.raises(OverQuota):
        limiter.take("\ud800" + "x" * 100_000)
    limiter.take("\ud800" + "x" * 100_001)
    assert max(map(len, limiter._buckets)) <= 128


def test_calls_read_typed_queries() -> None:
    query = Query((("n", "7"), ("flag", ""), ("off", "False"), ("n", "8")))
    call = Call("GET", "/", {}, query, {}, b"", "req", "b", "u", "", None, "a")
    assert (call.integer("n", 0, 9), call.integer("m", 0, 9)) == (7, None)
    assert (call.boolean("flag"), call.boolean("off"), call.boolean("none")) == (True, False, None)
    assert query.all("n") == ["7", "8"]
    with pytest.raises(Invalid):
        call.integer("n", 8, 9)
    with pytest.raises(Unauthenticated):
        _ = call.who


def test_the_same_route_twice_is_an_error() -> None:
    table: Routes[None] = Routes()
    table.add("GET", "/x", "a")(list_things)
    with pytest.raises(ValueError, match="twice"):
        table.add("GET", "/x", "b")(list_things)


class Spy:
    """Counts how often the annotation of `Watched` is evaluated."""

    count = 0

    @property
    def kind(self) -> type[int]:
        self.count += 1
        return int


spy = Spy()


class Watched(msgspec.Struct):
    number: spy.kind  # type: ignore[name-defined]  # evaluated when the shape is worked out


def test_shapes_of_bodies_are_worked_out_before_there_are_threads(parts: Parts) -> None:
    table: Routes[None] = Routes()
    table.add("POST", "/watched", "thing:fixed", body=Watched, public=True)(lambda call, body: {"n": body.number})
    api = Api(with_mount(parts, Mount("/own", "volume", table, None, Dialect("test"))))
    assert spy.count == 1
    answer = api.handle(HttpRequest("POST", b"/own/watched", b"", {}, b'{"number": 7}'))
    assert (answer.status, answer.body) == (200, b'{"n": 7}')
    assert spy.count == 1


def test_headers_are_joined() -> None:
    assert headers_of([(b"Accept", b"a"), (b"accept", b"b")]) == {"accept": "a, b"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"]),
    tail=st.binary(max_size=40),
    query=st.binary(max_size=40),
    body=st.binary(max_size=80),
    token=st.sampled_from([None, "member:u", "admin:u", "é"]),
)
def test_garbage_is_never_a_500(
    parts: Parts, method: str, tail: bytes, query: bytes, body: bytes, token: str | None
) -> None:
    headers = {"host": "h"} | ({"x-auth-token": token} if token else {})
    path = b"/store/v2/things/" + tail.replace(b"?", b"")
    assert Api(parts).handle(HttpRequest(method, path, query, headers, body)).status < 500


def run_asgi(parts: Parts, scope: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    app, sent = build_api(parts, threads=1), []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def test_the_asgi_adapter(parts: Parts) -> None:
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/store/v2/things", "raw_path": b"/store/v2/things?x",
        "query_string": b"", "scheme": "https", "client": ("192.0.2.9", 5),
        "headers": [(b"host", b"h"), (b"x-auth-token", b"member:u")],
    }  # fmt: skip
    pieces: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"name":', "more_body": True},
        {"type": "http.request", "body": b'"n"}'},
    ]
    start, end = run_asgi(parts, scope, pieces)
    assert start["status"] == 201
    assert json.loads(end["body"])["url"] == "https://h/store/v2/things"
    assert (b"content-length", str(len(end["body"])).encode()) in start["headers"]
    start, end = run_asgi(parts, scope, [{"type": "http.request", "body": b"x" * 1001}])
    assert start["status"] == 413 and (b"connection", b"close") in start["headers"]
    assert run_asgi(parts, scope, [{"type": "http.disconnect"}]) == []
    for path, threads in ((b"/store/v2/slow", "api-slow_"), (b"/store/v2/quick", "api_"), (b"/healthz", "")):
        asked = {**scope, "method": "GET", "raw_path": path}
        _, end = run_asgi(parts, asked, [{"type": "http.request", "body": b""}])
        assert not threads or json.loads(end["body"])["thread"].startswith(threads)
    assert not Api(parts).is_slow("GET", b"/store/%ff")
    start, end = run_asgi(parts, {**scope, "method": "HEAD", "path": "/healthz", "raw_path": None}, [{"type": "x"}])
    assert (start["status"], end["body"]) == (200, b"")
    life: list[dict[str, Any]] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert [m["type"] for m in run_asgi(parts, {"type": "lifespan"}, life)] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
