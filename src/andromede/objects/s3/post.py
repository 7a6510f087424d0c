"""POST upload by a browser form, with or without a signed policy (API reference, "Browser-based uploads")."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from andromede.clock import US
from andromede.errors import Denied, Invalid
from andromede.objects.model import NO_CONDITIONS, Receive, Stored, Version
from andromede.objects.s3 import digest, sigv2, sigv4, tags
from andromede.objects.s3.form import Form
from andromede.objects.s3.opening import open_bucket
from andromede.objects.s3.operations import operation
from andromede.objects.s3.place import bad_uri, checked_key
from andromede.objects.s3.proof import Proof
from andromede.objects.s3.writing import (
    DEFAULT_CHECKSUM,
    OBJECT_MAX,
    commit,
    verifier,
    wish_of,
    written_headers,
)
from andromede.objects.s3.xml import DECLARATION, elements, parse
from andromede.web.stream.message import Commit, Headers, Response

if TYPE_CHECKING:
    from andromede.objects.s3.call import S3Call

_PLAIN = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_PREFIXES = (
    "x-amz-meta-",
    "x-amz-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-checksum-",
    "x-amz-grant-",
)
_EXACT = frozenset((*_PLAIN, "content-md5", "x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-acl"))
_UNCOVERED = frozenset(("policy", "signature", "x-amz-signature", "file", "awsaccesskeyid", "bucket"))
_KEPT = ("host", "origin", "referer", "user-agent", "x-amz-expected-bucket-owner")
POLICY_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Policy:
    """What the signer allows. `least`, `most`: size of the file in bytes."""

    conditions: tuple[tuple[str, str, str], ...]
    least: int = 0
    most: int = OBJECT_MAX


@operation("PostObject", "POST", on="bucket", action="s3:PutObject", form="unopened")
def post_object(call: S3Call) -> Commit[Version]:
    """Store the file of a form."""
    form = Form(call.request)
    fields = form.fields
    if "key" not in fields or not fields["key"]:
        raise Invalid("bucket POST must contain a field named 'key'", "invalid_argument")
    fields["key"] = fields["key"].replace("${filename}", form.filename)
    call.key = checked_key(fields["key"])
    if "\0" in call.key:
        raise bad_uri("the key holds a NUL character")
    # a form proves itself by its fields alone: a signed header says nothing about the body that is read here
    call.actor, call.proof = None, Proof("post", opener=lambda _: form)
    policy = authenticate(call, fields)
    call.adopt(form_headers(call, fields))
    open_bucket(call)
    if policy is not None:
        check_policy(policy, fields, call.place.bucket or "")
    wish = wish_of(call)
    claim = digest.claimed(call.headers)
    stored = _take(call, form, wish.keys.encryption, policy or Policy(()), claim, wish.keys.customer_key)
    made = commit(call, wish, stored, NO_CONDITIONS)
    return Commit(made.work, lambda version: answer(call, fields, version), made.record)


def _take(
    call: S3Call, form: Form, encryption: Any, policy: Policy, claim: digest.Claim, customer_key: bytes | None
) -> Stored:
    check = verifier(form, digest.content_md5(call.headers), claim)

    def verify(stored: Stored) -> None:
        check(stored)
        if stored.size < policy.least:
            raise Invalid(f"your proposed upload is smaller than the minimum of {policy.least} bytes", "too_small")
        if stored.size > policy.most:
            raise Invalid(f"your proposed upload exceeds the maximum of {policy.most} bytes", "too_large")

    want = Receive(
        length=None,
        max_length=min(policy.most, OBJECT_MAX),
        algorithms=(claim.algorithm or DEFAULT_CHECKSUM,),
        encryption=encryption,
        customer_key=customer_key,
        verify=verify,
    )
    return call.objects.receive(call.bucket, form, want)


def authenticate(call: S3Call, fields: dict[str, str]) -> Policy | None:
    """Check the form's signature over its policy; None for anonymous forms. Raises `Denied` or `Invalid`."""
    text = fields.get("policy")
    if text is None:
        return None
    if "x-amz-security-token" in fields:
        raise Invalid("the security token is not one of this installation; use long-lived keys", "token")
    if "x-amz-signature" in fields:
        access_key = _verify_v4(call, fields, text)
    elif "signature" in fields and "awsaccesskeyid" in fields:
        if not call.context.config.objects.s3_sigv2:
            raise Invalid("sign the policy with AWS4-HMAC-SHA256", "invalid_request")
        access_key = fields["awsaccesskeyid"]
        secret, call.actor = call.authentication.identify(access_key, call.request.peer)
        try:
            sigv2.check(secret, text.encode(), fields["signature"], access_key)
        except Denied:
            call.authentication.missed(access_key, call.request.peer)
            raise
    else:
        raise Invalid("a form with a policy needs its signature and access key fields", "invalid_argument")
    call.proof.access_key = access_key
    return parse_policy(text, call.now_us)


def _verify_v4(call: S3Call, fields: dict[str, str], text: str) -> str:
    if fields.get("x-amz-algorithm") != sigv4.ALGORITHM:
        raise Invalid("x-amz-algorithm must be AWS4-HMAC-SHA256", "invalid_argument")
    scope = sigv4.scope_of(fields.get("x-amz-credential", ""), "host", "invalid_argument")
    call.authentication.check_scope(scope, "invalid_argument")
    secret, actor = call.authentication.identify(scope.access_key, call.request.peer)
    key = sigv4.signing_key(secret, scope.date, scope.region, scope.service)
    if not hmac.compare_digest(sigv4.sign(key, text.encode()).encode(), fields["x-amz-signature"].encode()):
        call.authentication.missed(scope.access_key, call.request.peer)
        raise Denied("the signature of the policy does not match; check your key and signing method", "signature")
    call.actor = actor
    call.proof.signature_version = sigv4.ALGORITHM
    return scope.access_key


def parse_policy(text: str, now_us: int) -> Policy:
    """Decode and check the form of a policy document. Raises `Invalid`; `Denied` when it has expired."""
    try:
        if len(text) > POLICY_BYTES:
            raise ValueError
        document = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _bad_policy("it is not base64 of JSON") from error
    if not isinstance(document, dict):
        raise _bad_policy("it is not an object")
    expires, conditions = document.get("expiration"), document.get("conditions")
    if not isinstance(expires, str) or not isinstance(conditions, list):
        raise _bad_policy("it needs an expiration and a list of conditions")
    if _expiry(expires) < now_us:
        raise Denied("invalid according to policy: policy expired", "access")
    found: list[tuple[str, str, str]] = []
    bounds = (0, OBJECT_MAX)
    for condition in conditions:
        if isinstance(condition, list) and condition and condition[0] == "content-length-range":
            bounds = _bounds(condition)
        else:
            found += _conditions(condition)
    return Policy(tuple(found), *bounds)


def _expiry(text: str) -> int:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            when = dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
            return int(when.timestamp()) * US
        except (ValueError, OverflowError):
            continue
    raise _bad_policy("its expiration is not of the form 2027-01-31T00:00:00Z")


def _bounds(condition: list[Any]) -> tuple[int, int]:
    if len(condition) != 3:
        raise _bad_policy("content-length-range needs a minimum and a maximum")
    try:
        least, most = (int(str(value)) for value in condition[1:])
    except ValueError as error:
        raise _bad_policy("content-length-range must hold numbers") from error
    if not 0 <= least <= most:
        raise _bad_policy("content-length-range must hold 0 <= minimum <= maximum")
    return least, most


def _conditions(condition: object) -> list[tuple[str, str, str]]:
    """One entry as (operator, field in lower case, value)."""
    if isinstance(condition, dict) and condition:
        return [("eq", str(name).lower(), _text(value)) for name, value in condition.items()]
    if isinstance(condition, list) and len(condition) == 3 and isinstance(condition[1], str):
        kind = str(condition[0]).lower()
        if kind in ("eq", "starts-with") and condition[1].startswith("$"):
            return [(kind, condition[1][1:].lower(), _text(condition[2]))]
    raise _bad_policy("a condition is neither {field: value} nor [operator, $field, value]")


def _text(value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise _bad_policy("the value of a condition must be text")


def _bad_policy(why: str) -> Invalid:
    return Invalid(
        f"the content of the form does not meet the conditions of a policy document: {why}", "policy_document"
    )


def check_policy(policy: Policy, fields: dict[str, str], bucket: str) -> None:
    """Every condition holds and every field is covered by one. Raises `Denied`."""
    values = {**fields, "bucket": bucket}
    covered = set()
    for kind, name, wanted in policy.conditions:
        covered.add(name)
        # a field that the form leaves out is empty
        value = values.get(name, "")
        good = value == wanted if kind == "eq" else value.startswith(wanted)
        if not good:
            raise Denied(f"invalid according to policy: condition failed for {name}", "access")
    for name in (*fields, "bucket"):
        free = name in _UNCOVERED - {"bucket"} or name.startswith(("x-ignore-", "x-amz-checksum-"))
        if name not in covered and not free:
            raise Denied(f"invalid according to policy: extra input field {name[:64]}", "access")


def form_headers(call: S3Call, fields: dict[str, str]) -> Headers:
    """The fields that describe the object, as headers. Nothing else of the form becomes a header."""
    pairs: list[tuple[str, str | bytes]] = []
    for name, value in fields.items():
        if name in _EXACT or name.startswith(_PREFIXES):
            if not value.isprintable():
                raise Invalid(f"the field {name[:64]} holds control characters", "invalid_argument")
            pairs.append((name, value.encode()))
    if "acl" in fields:
        pairs.append(("x-amz-acl", fields["acl"].encode()))
    if "tagging" in fields:
        found = tags.from_xml(parse(fields["tagging"].encode(), "Tagging"))
        pairs.append(("x-amz-tagging", "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in found.items())))
    for name in _KEPT:
        if (kept := call.request.headers.get(name)) is not None:
            pairs.append((name, kept))
    return Headers.of(*pairs)


def answer(call: S3Call, fields: dict[str, str], version: Version) -> Response:
    """204, or what `success_action_redirect` or `success_action_status` asks for."""
    pairs = written_headers(call, version)
    bucket, key = call.place.bucket or "", call.name
    target = fields.get("success_action_redirect") or fields.get("redirect")
    if target and target.startswith(("http://", "https://")) and target.isprintable():
        mark = "&" if "?" in target else "?"
        named = f"bucket={quote(bucket, safe='')}&key={quote(key, safe='')}&etag=%22{version.etag}%22"
        pairs.append(("Location", f"{target}{mark}{named}".encode()))
        return Response(303, pairs)
    host = call.request.headers.get("host") or ""
    base = "" if call.place.host_bucket else f"/{bucket}"
    location = f"{call.request.scheme}://{host}{base}/{quote(key)}"
    pairs.append(("Location", location))
    status = fields.get("success_action_status")
    if status == "201":
        inner = elements((("Location", location), ("Bucket", bucket), ("Key", key), ("ETag", f'"{version.etag}"')))
        body = f"{DECLARATION}<PostResponse>{inner}</PostResponse>".encode()
        pairs.append(("Content-Type", "application/xml"))
        return Response(201, pairs, body)
    return Response(200 if status == "200" else 204, pairs)
