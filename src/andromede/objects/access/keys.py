"""The condition keys that requests carry, and how they are taken from a request.

A key that is never supplied would make a Deny useless or an Allow dead, so policies may only use these.
Source: "Amazon S3 condition keys", "AWS global condition context keys".
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable

from andromede.clock import iso_second, utc
from andromede.objects.access.request import Context
from andromede.objects.model import Container, Version
from andromede.web.actor import Actor

HEADER_KEYS = (
    "x-amz-acl", "x-amz-content-sha256", "x-amz-copy-source", "x-amz-grant-full-control", "x-amz-grant-read",
    "x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp", "x-amz-metadata-directive",
    "x-amz-object-ownership", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm", "x-amz-storage-class", "x-amz-website-redirect-location",
)  # fmt: skip
_RENAMED_HEADERS = {
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "if-match": "s3:if-match",
    "if-none-match": "s3:if-none-match",
}
_QUERY_KEYS = {
    "prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys", "versionId": "s3:versionid",
}  # fmt: skip
_OTHER = (
    "s3:authtype", "s3:requestobjecttagkeys", "s3:resourceaccount", "s3:signatureversion", "aws:currenttime",
    "aws:epochtime", "aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:referer",
    "aws:securetransport", "aws:sourceaccount", "aws:sourcearn", "aws:sourceip", "aws:useragent", "aws:userid",
    "aws:username", "aws:resourceaccount",
)  # fmt: skip
_TAG_FAMILIES = ("s3:existingobjecttag/", "s3:requestobjecttag/")
KNOWN = frozenset(
    {f"s3:{name}" for name in HEADER_KEYS} | set(_RENAMED_HEADERS.values()) | {v.lower() for v in _QUERY_KEYS.values()}
) | frozenset(_OTHER)


def folded(key: str) -> str:
    """The form in which keys are compared: lower case, but the tag's own name after `/` as it is."""
    family, slash, tag = key.partition("/")
    return family.lower() + slash + tag


def known(key: str) -> bool:
    """Is this a key that requests can carry?"""
    key = folded(key)
    return key in KNOWN or (key.startswith(_TAG_FAMILIES) and len(key.partition("/")[2]) > 0)


def tag_keys(tags: Iterable[tuple[str, str]]) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of the tags that a request brings."""
    found: dict[str, str | tuple[str, ...]] = {f"s3:RequestObjectTag/{name}": value for name, value in tags}
    if found:
        found["s3:RequestObjectTagKeys"] = tuple(key.partition("/")[2] for key in found)
    return found


def request_keys(
    header: Callable[[str], str | None], query: Callable[[str], str | None], *, peer: str, secure: bool, now_us: int
) -> dict[str, str | tuple[str, ...]]:
    """Condition keys of an HTTP request; `header` and `query` give one decoded value or None."""
    found: dict[str, str | tuple[str, ...]] = {
        "aws:SourceIp": peer,
        "aws:SecureTransport": "true" if secure else "false",
        "aws:CurrentTime": iso_second(now_us),
        "aws:EpochTime": str(int(utc(now_us).timestamp())),
    }
    named = {"referer": "aws:Referer", "user-agent": "aws:UserAgent", **_RENAMED_HEADERS}
    named.update({name: f"s3:{name}" for name in HEADER_KEYS})
    for name, key in named.items():
        value = header(name)
        if value is not None:
            found[key] = value
    for name, key in _QUERY_KEYS.items():
        value = query(name)
        if value is not None:
            found[key] = value
    if "s3:x-amz-copy-source" in found:
        found["s3:x-amz-copy-source"] = urllib.parse.unquote(str(found["s3:x-amz-copy-source"])).lstrip("/")
    tagging = header("x-amz-tagging")
    if tagging:
        found.update(tag_keys(urllib.parse.parse_qsl(tagging, keep_blank_values=True)))
    return found


def principal_arn(actor: Actor) -> str:
    """The ARN under which policies name this user."""
    return f"arn:aws:iam::{actor.project_id or ''}:user/{actor.user_id}"


def evaluation_keys(
    context: Context, actor: Actor | None, container: Container, version: Version | None
) -> dict[str, str | tuple[str, ...]]:
    """The request's keys, folded, with those that the caller and the stored object add."""
    found = {folded(key): value for key, value in context.items()}
    found["s3:resourceaccount"] = found["aws:resourceaccount"] = container.project_id
    if actor is None:
        found["aws:principaltype"] = "Anonymous"
        found["aws:userid"] = "anonymous"
    else:
        found["aws:principaltype"] = "User"
        found["aws:userid"], found["aws:username"] = actor.user_id, actor.user_name
        found["aws:principalarn"] = principal_arn(actor)
        if actor.project_id:
            found["aws:principalaccount"] = actor.project_id
    if version is not None:
        for name, value in version.attributes.tags.items():
            found[f"s3:existingobjecttag/{name}"] = value
    return found
