"""The API port against a schema made from its own route table: what Schemathesis generates from it breaks nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from andromede.db import open_database
from andromede.identity.routes import routes
from andromede.web.call import HttpRequest
from andromede.web.routes import Route
from tests.support.clock import FakeClock
from tests.support.cloud import Cloud
from tests.support.world import World, world

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
not_a_server_error = schemathesis.checks.not_a_server_error
PREFIX = "/identity"
EXAMPLES = 3
_SPARED = {("DELETE", "/v3/auth/tokens"), ("POST", "/v3/users/{user_id}/password")}


def openapi() -> dict[str, Any]:
    """OpenAPI 3.0 of the identity routes: bodies from their types, parameters from their paths."""
    bodies = [route.body for route in routes if route.body is not None]
    _, components = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation: dict[str, Any] = {
            "operationId": re.sub(r"\W+", "_", f"{route.method}{route.path}"),
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in route.names()
            ],
            "responses": {"default": {"description": route.doc.partition("\n")[0] or "-"}},
        }
        if route.body is not None:
            schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        paths.setdefault(PREFIX + route.path.rstrip("/"), {})[route.method.lower()] = operation
    info = {"title": "identity", "version": "3.14"}
    return {"openapi": "3.0.3", "info": info, "paths": paths, "components": {"schemas": components}}


def application(cloud: Cloud) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """The API port as a WSGI application."""

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/openapi.json":
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(openapi()).encode()]
        headers = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]).partition("?")[0]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = str(environ.get("QUERY_STRING", "")).encode("latin-1")
        found = cloud.api.handle(
            HttpRequest(environ["REQUEST_METHOD"], raw.encode("latin-1"), query, headers, body, peer="192.0.2.1")
        )
        start(f"{found.status} Status", found.headers)
        return [found.body]

    return answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("schema")
    return world(Cloud(open_database(f"sqlite:///{folder}/test.db"), folder, FakeClock()))


@pytest.fixture(scope="module")
def schema(made: World) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", application(made.cloud))


OPERATIONS = [route for route in routes if (route.method, route.path) not in _SPARED and not route.slow]


@pytest.mark.parametrize("route", OPERATIONS, ids=lambda route: f"{route.method} {route.path}")
def test_generated_requests_break_nothing(made: World, schema: Any, route: Route) -> None:
    operation = schema[PREFIX + route.path.rstrip("/")][route.method]
    token = {"X-Auth-Token": made.admin}

    @settings(
        max_examples=EXAMPLES, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        database=None, derandomize=True,
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        answer = case.call(headers=token)
        case.validate_response(answer, checks=[not_a_server_error])

    run()
