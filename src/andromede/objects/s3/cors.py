"""Cross-origin requests: the configuration, the preflight, and headers on every other answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Denied, Error, Invalid
from andromede.objects.model import Container
from andromede.objects.s3 import documents
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.cors_rules import ROOT, CorsRule, rules, rules_of
from andromede.objects.s3.operations import operation
from andromede.objects.s3.xml import parse
from andromede.web.stream.message import Commit, Headers, Response

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@operation("PutBucketCors", "PUT", on="bucket", query="cors", action="s3:PutBucketCORS")
def put_bucket_cors(call: S3Call) -> Commit[Any]:
    """Check and store the rules."""
    call.require()
    data = call.read(64 * 1024, digest_needed=True)
    rules(parse(data, ROOT))
    return documents.put(call, "cors", data)


@operation("GetBucketCors", "GET", on="bucket", query="cors", action="s3:GetBucketCORS")
def get_bucket_cors(call: S3Call) -> Response:
    """The rules as they were put."""
    call.require()
    return documents.shown(call, "cors", "cors", "CORS configuration")


@operation("DeleteBucketCors", "DELETE", on="bucket", query="cors", action="s3:PutBucketCORS")
def delete_bucket_cors(call: S3Call) -> Commit[Any]:
    """Remove all rules."""
    call.require()
    return documents.remove(call, "cors")


def preflight(call: S3Call) -> Response:
    """Answer OPTIONS for a bucket or key: unsigned, and it tells nothing but what the rules say."""
    origin = call.headers.get("origin")
    method = call.headers.get("access-control-request-method")
    if not origin or not method:
        raise Invalid(
            "a preflight request needs the headers Origin and Access-Control-Request-Method", "invalid_request"
        )
    asked = call.headers.get("access-control-request-headers") or ""
    names = [name.strip().lower() for name in asked.split(",") if name.strip()]
    for rule in rules_of(call.bucket):
        if rule.fits(origin, method) and rule.permits(names):
            headers = _headers(rule, origin)
            if names:
                headers.append(("Access-Control-Allow-Headers", ", ".join(names)))
            return call.empty(200, headers)
    raise Denied("no CORS rule of the bucket allows this origin, method and headers", "access")


@operation("Preflight", "OPTIONS", on="bucket", action="s3:ListBucket")
def preflight_bucket(call: S3Call) -> Response:
    """OPTIONS on a bucket."""
    return preflight(call)


@operation("PreflightObject", "OPTIONS", on="object", action="s3:GetObject")
def preflight_object(call: S3Call) -> Response:
    """OPTIONS on a key, there or not."""
    return preflight(call)


def response_headers(container: Container, headers: Headers, method: str) -> list[tuple[str, str | bytes]]:
    """What to add to any answer, errors included, of a request that carries an Origin."""
    origin = headers.get("origin")
    if origin is None or "cors" not in container.documents:
        return []
    wanted = headers.get("access-control-request-method") or method
    for rule in rules_of(container):
        if rule.fits(origin, wanted):
            return _headers(rule, origin)
    return []


def _headers(rule: CorsRule, origin: str) -> list[tuple[str, str | bytes]]:
    anyone = "*" in rule.origins
    found: list[tuple[str, str | bytes]] = [
        ("Access-Control-Allow-Origin", "*" if anyone else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
    ]
    if not anyone:
        found.append(("Access-Control-Allow-Credentials", "true"))
    if rule.exposed:
        found.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if rule.max_age is not None:
        found.append(("Access-Control-Max-Age", str(rule.max_age)))
    found.append(("Vary", _VARY))
    return found


def decorated(call: S3Call, answer: Response | Commit[Any]) -> Response | Commit[Any]:
    """The answer with the CORS headers of the bucket, now or when its commit is rendered (or fails)."""
    if "origin" not in call.headers:
        return answer
    extra = _for_call(call)
    if not extra:
        return answer
    if isinstance(answer, Response):
        answer.headers.extend(extra)
        return answer
    return _decorated_commit(answer, extra)


def _decorated_commit(commit: Commit[Any], extra: list[tuple[str, str | bytes]]) -> Commit[Any]:
    def work(tx: Tx) -> Any:
        try:
            return commit.work(tx)
        except Error as error:
            _attach(error, extra)
            raise

    def render(result: Any) -> Response:
        response = commit.render(result)
        response.headers.extend(extra)
        return response

    return replace(commit, work=work, render=render)


def refused(call: S3Call, error: Error) -> None:
    """Give an error the CORS headers of the bucket, so that a script may read it."""
    if "origin" in call.headers and call.request.method != "OPTIONS":
        _attach(error, _for_call(call))


def _attach(error: Error, extra: list[tuple[str, str | bytes]]) -> None:
    error.detail["headers"] = [*error.detail.get("headers", ()), *extra]


def _for_call(call: S3Call) -> list[tuple[str, str | bytes]]:
    container = call.container
    if container is None and call.place.bucket is not None:
        # refused before the bucket was opened: a wrong signature is to be readable too
        try:
            container = call.objects.bucket(call.place.bucket, None)
        except Error:
            return []
    if container is None or call.request.method == "OPTIONS":
        return []
    return response_headers(container, call.headers, call.request.method)
