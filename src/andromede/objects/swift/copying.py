"""Copies on the server: COPY with `Destination`, PUT with `X-Copy-From`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from urllib.parse import quote

from andromede.errors import Conflict, Denied, Invalid, NotFound, Precondition, TooLarge, Unauthenticated
from andromede.objects.copying import Joined
from andromede.objects.manifests import ACCOUNT_PREFIX, DLO_TARGET, SLO_COUNT, SLO_ETAG, SLO_SIZE, Opened
from andromede.objects.model import NO_CONDITIONS, Attributes, Container, CopySource, Kind, Receive, Stored, Version
from andromede.objects.swift import attributes, conditions, metadata, ranges, writing
from andromede.objects.swift.answers import Pairs
from andromede.objects.swift.call import Call
from andromede.objects.swift.conditions import Verdict
from andromede.objects.swift.entries import own_account
from andromede.objects.swift.info import MAX_FILE
from andromede.objects.swift.listing import truth
from andromede.objects.swift.place import Place, decode, split_name
from andromede.objects.swift.times import last_modified, shown_second
from andromede.web.stream.message import Commit, Response

_KEPT = (SLO_ETAG, SLO_SIZE, SLO_COUNT, DLO_TARGET)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where a copy goes and where it comes from."""

    source_place: Place
    version_id: str | None
    destination: Place


def copy(call: Call) -> Response | Commit[Version]:
    """COPY: from the path to the `Destination` header."""
    value = call.header("destination")
    if not value:
        raise Invalid("Destination header required", "header_form")
    container, key = split_name(value, "Destination")
    destination = Place(call.place.version, _account(call, "Destination-Account"), container, key)
    return _perform(call, Target(call.place, call.version_id, destination))


def put(call: Call) -> Response | Commit[Version]:
    """PUT with `X-Copy-From`: to the path from the named object."""
    if call.request.body.length != 0:
        raise Invalid("Copy requests require a zero byte body", "copy")
    value, _, query = call.headers["x-copy-from"].partition("?")
    container, key = split_name(value, "X-Copy-From")
    source = Place(call.place.version, _account(call, "X-Copy-From-Account"), container, key)
    version_id = dict(p.partition("=")[::2] for p in query.split("&")).get("version-id") if query else None
    return _perform(call, Target(source, version_id, call.place))


def _account(call: Call, header: str) -> str:
    """The account that a header names, else the path's."""
    given = call.header(header.lower())
    name = call.place.account if given is None else decode(given.encode("latin-1"))
    if "/" in name or not name.startswith(ACCOUNT_PREFIX):
        raise Invalid(f"{header} does not name an account", "header_form")
    return name


def _perform(call: Call, target: Target) -> Response | Commit[Version]:
    """Read there, write here: rights are asked for at both ends."""
    source = call.container = call.locate(
        target.source_place.project_id, target.source_place.container or "", "s3:GetObject"
    )
    version = _source(call, source, target)
    place = target.destination
    container = call.container = call.locate(place.project_id, place.container or "", "s3:PutObject")
    call.require("s3:PutObject", container, place.key)
    assert place.key is not None
    call.reached(source, version.key)
    writing.check_key(place.key)
    call.place = place
    extra = _extra(source, version)
    if version.kind is Kind.SYMLINK and call.params.get("symlink") == "get":
        return _link(call, container, version, extra)
    opener = call.opener()
    if call.params.get("multipart-manifest") == "get":
        found, base, _ = opener.follow(source, version)
        opened = Opened(found, base, base.size, base.etag, None, False, opener)
        settings: Mapping[str, str] = {k: v for k, v in base.attributes.settings.items() if k in _KEPT}
        kind = base.kind
    else:
        opened = opener.open(source, version)
        settings, kind = {}, Kind.DATA
    _check_conditions(call, opened)
    wish = dataclasses.replace(merged(call, opened.version.attributes, place.key), settings=settings, kind=kind)
    extra = _extra(source, opened.version, version) + metadata.shown(wish.metadata, "object")
    if wish.delete_at_us is not None:
        extra.append(("X-Delete-At", str(wish.delete_at_us // 1_000_000)))
    return _transfer(call, container, opened, wish, extra)


def _source(call: Call, source: Container, target: Target) -> Version:
    key = target.source_place.key or ""
    try:
        version = call.objects.head(source, key, target.version_id)
    except NotFound:
        call.require("s3:GetObject", source, key)
        raise
    call.require("s3:GetObjectVersion" if target.version_id else "s3:GetObject", source, key, version)
    if version.is_marker:
        raise NotFound("the source version is a delete marker", "marker")
    return version


def _extra(source: Container, shown: Version, named: Version | None = None) -> Pairs:
    return [
        ("X-Copied-From-Account", quote(own_account(source.project_id))),
        ("X-Copied-From", quote(f"{source.name}/{(named or shown).key}")),
        ("X-Copied-From-Last-Modified", last_modified(shown.created_us)),
    ]


def _check_conditions(call: Call, opened: Opened) -> None:
    verdict = conditions.judge(call.header, opened.etag, shown_second(opened.version.created_us))
    if verdict is Verdict.FAILED:
        raise Precondition("the source of the copy does not meet the request's conditions", "copy_source")
    if verdict is Verdict.NOT_MODIFIED:
        raise NotModified("the source of the copy has not changed", "copy_source")
    if (call.header("if-none-match") or "*").strip() != "*":
        raise Invalid("If-None-Match only supports *", "condition")


class NotModified(Precondition):
    """A copy whose source meets `If-None-Match` or `If-Modified-Since` is not made."""

    status = 304


def merged(call: Call, old: Attributes, key: str) -> Attributes:
    """The source's attributes under those of the request; with `X-Fresh-Metadata` the request's alone."""
    new = attributes.wanted(call, key)
    fresh = truth(call.header("x-fresh-metadata"))
    given_type = call.header("content-type")
    if fresh:
        return dataclasses.replace(new, content_type=new.content_type if given_type else old.content_type)
    expiry = call.header("x-delete-at") is not None or call.header("x-delete-after") is not None
    return dataclasses.replace(
        new,
        content_type=new.content_type if given_type else old.content_type,
        headers={**old.headers, **new.headers},
        metadata={**old.metadata, **new.metadata},
        delete_at_us=new.delete_at_us if expiry else old.delete_at_us,
    )


def _link(call: Call, container: Container, link: Version, extra: Pairs) -> Commit[Version]:
    wish = dataclasses.replace(
        merged(call, link.attributes, call.key), settings=link.attributes.settings, kind=Kind.SYMLINK
    )
    step = call.objects.put_empty(container, call.key, wish, NO_CONDITIONS, call.trace("swift:CopyObject"))
    shown = extra + metadata.shown(wish.metadata, "object")
    return step.then(lambda version: writing.created(container, version, extra=shown))


def _transfer(call: Call, container: Container, opened: Opened, wish: Attributes, extra: Pairs) -> Commit[Version]:
    start, stop = 0, opened.size
    asked = call.header("range")
    if asked:
        spans = ranges.parse(asked, opened.size)
        if spans and len(spans) == 1:
            start, stop = spans[0]
    if stop - start > MAX_FILE:
        raise TooLarge(f"a copy makes one object of at most {MAX_FILE} bytes", "body")
    call.objects.precheck(container, call.key, NO_CONDITIONS, stop - start)
    trace = call.trace("swift:CopyObject")
    if opened.segments is None and (start, stop) == (0, opened.size) and wish.kind is opened.version.kind:
        source = CopySource(opened.version)
        step = call.objects.copy(source, container, call.key, wish, NO_CONDITIONS, trace)
    else:
        stored = received(call, container, opened, start, stop)
        step = call.objects.put(container, call.key, stored, wish, NO_CONDITIONS, trace)
    etag = f'"{wish.settings[SLO_ETAG]}"' if SLO_ETAG in wish.settings else None
    return step.then(lambda version: writing.created(container, version, etag, extra))


def received(call: Call, container: Container, opened: Opened, start: int, stop: int) -> Stored:
    """Bytes of an opened object, stored again."""
    want = Receive(length=stop - start, max_length=MAX_FILE)
    try:
        return call.objects.receive(container, Joined(opened.read(start, stop)), want)
    except (Denied, Unauthenticated, NotFound) as error:
        raise Conflict("a part of the source cannot be read", "segment", cause=str(error)) from error
