"""Buckets as websites: the configuration, and unsigned GET and HEAD on the website domain.

User guide, "Hosting a static website using Amazon S3".
"""

from __future__ import annotations

import html
import urllib.parse
from typing import Any

from andromede.errors import Denied, Error, NotFound
from andromede.objects.s3 import documents, errors, reading
from andromede.objects.s3.attributes import REDIRECT
from andromede.objects.s3.call import S3Call
from andromede.objects.s3.operations import operation
from andromede.objects.s3.website_rules import ROOT, Redirect, Website, website, website_of
from andromede.objects.s3.xml import parse
from andromede.web.stream.message import Commit, Response


@operation("PutBucketWebsite", "PUT", on="bucket", query="website", action="s3:PutBucketWebsite")
def put_bucket_website(call: S3Call) -> Commit[Any]:
    """Check and store the configuration."""
    call.require()
    data = call.read(128 * 1024)
    website(parse(data, ROOT))
    return documents.put(call, "website", data)


@operation("GetBucketWebsite", "GET", on="bucket", query="website", action="s3:GetBucketWebsite")
def get_bucket_website(call: S3Call) -> Response:
    """The configuration as it was put."""
    call.require()
    return documents.shown(call, "website", "website", "website configuration")


@operation("DeleteBucketWebsite", "DELETE", on="bucket", query="website", action="s3:DeleteBucketWebsite")
def delete_bucket_website(call: S3Call) -> Commit[Any]:
    """Remove the configuration."""
    call.require()
    return documents.remove(call, "website")


@operation("WebsiteGet", "GET", on="website", action="s3:GetObject", form="unopened")
def website_get(call: S3Call) -> Response:
    """A page, its redirect, or the error page."""
    return _serve(call)


@operation("WebsiteHead", "HEAD", on="website", action="s3:GetObject", form="unopened")
def website_head(call: S3Call) -> Response:
    """What GET would say, without the bytes."""
    return _serve(call)


def _serve(call: S3Call) -> Response:
    # nobody is logged in on a website, and its query string belongs to the page's scripts
    call.actor, call.query, path = None, {}, call.key or ""
    try:
        call.container = call.objects.bucket(call.place.bucket or "", None)
        site = website_of(call.container)
        if site is None:
            raise NotFound("the bucket is not configured as a website", "website")
    except Error as error:
        return _page(call, error)
    if site.everything is not None:
        return _redirect(call, site.everything, path)
    early = site.route(path, None)
    if early is not None:
        return _redirect(call, early.redirect, early.target(path))
    key = path + site.index if not path or path.endswith("/") else path
    try:
        return _object(call, key)
    except Error as error:
        return _failed(call, site, path, error)


def _object(call: S3Call, key: str) -> Response:
    call.key = key
    if call.request.method == "HEAD":
        answer = reading.head_object(call)
    else:
        answer = reading.get_object(call)
    target = call.version.attributes.settings.get(REDIRECT) if call.version is not None else None
    if target is not None:
        return Response(301, [*call.identified(), ("Location", target)])
    return answer


def _failed(call: S3Call, site: Website, path: str, error: Error) -> Response:
    if isinstance(error, Denied):
        call.outcome = "denied"
    status, _ = errors.status_and_code(error)
    if status >= 500:
        raise error
    if status in (403, 404) and path and not path.endswith("/") and _readable(call, f"{path}/{site.index}"):
        return Response(302, [*call.identified(), ("Location", "/" + urllib.parse.quote(f"{path}/"))])
    rule = site.route(path, status)
    if rule is not None:
        return _redirect(call, rule.redirect, rule.target(path))
    if site.error is None or status == 304:
        return _page(call, error)
    try:
        answer = _object(call, site.error)
    except Error:
        return _page(call, error)
    answer.status = status if answer.status in (200, 206) else answer.status
    return answer


def _readable(call: S3Call, key: str) -> bool:
    try:
        version = call.objects.head(call.bucket, key)
    except Error:
        return False
    return call.allowed("s3:GetObject", container=call.bucket, key=key, version=version)


def _redirect(call: S3Call, redirect: Redirect, key: str) -> Response:
    host = redirect.host or call.headers.get("host") or ""
    scheme = redirect.protocol or call.request.scheme
    location = f"{scheme}://{host}/{urllib.parse.quote(key)}"
    return Response(redirect.code, [*call.identified(), ("Location", location.encode("latin-1", "replace"))])


def _page(call: S3Call, error: Error) -> Response:
    """The error as a small HTML page."""
    status, code = errors.status_and_code(error)
    text = html.escape(errors.message(error))
    request_id = html.escape(call.request.request_id)
    body = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{status} {code}</title><h1>{status} {code}</h1>"
        f"<p>{text}</p><p>Request id: {request_id}</p></html>\n"
    ).encode()
    headers = [*call.identified(), ("Content-Type", "text/html; charset=utf-8")]
    if call.request.method == "HEAD":
        return Response(status, headers, b"", length=len(body))
    return Response(status, headers, body)
