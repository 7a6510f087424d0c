"""Static large objects: PUT of a manifest, DELETE with its segments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from andromede.errors import Conflict, Denied, Error, Invalid, NotFound, Unauthenticated
from andromede.objects import manifests
from andromede.objects.manifests import MAX_DEPTH, SLO_COUNT, SLO_ETAG, SLO_SIZE, Opener, Segment
from andromede.objects.model import Attributes, Conditions, Container, Kind, Receive, Stored, Version
from andromede.objects.swift import attributes, reports, slo_manifest, writing
from andromede.objects.swift.answers import begun, worded
from andromede.objects.swift.bulk_delete import Deletion
from andromede.objects.swift.call import Call
from andromede.objects.swift.errors import message_of, phrase, status_of
from andromede.objects.swift.info import MAX_MANIFEST_SIZE
from andromede.objects.swift.listing import truth
from andromede.objects.swift.slo_manifest import Wanted
from andromede.objects.swift.times import last_modified, listed, shown_second
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Commit, Response

Problems = list[tuple[str, str]]
US = 1_000_000


class BadSegments(Invalid):
    """Segments that are not as the manifest says."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("; ".join(f"{name}, {status}" for name, status in problems[:20]), "slo_segments")
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """A manifest that has been read and may be stored once its segments are checked."""

    container: Container
    wish: Attributes
    conditions: Conditions
    entries: list[Wanted]
    etag: str | None


def put(call: Call) -> Response | Commit[Version]:
    """PUT `?multipart-manifest=put`; with `heartbeat=on` the true status stands at the end of the body."""
    container = call.open("s3:PutObject", key=call.key)
    writing.check_key(call.key)
    form = reports.form_of(call.header("accept"))
    wish = attributes.wanted(call, call.key)
    when = writing.conditions(call)
    writing.declared_length(call)
    entries = slo_manifest.parse(call.small_body(MAX_MANIFEST_SIZE, what="the manifest"))
    if any(entry.data is None and (entry.container, entry.key) == (container.name, call.key) for entry in entries):
        raise Invalid("manifest must not include itself as a segment", "manifest")
    plan = Plan(container, wish, when, entries, writing.expected_md5(call))
    if truth(call.params.get("heartbeat")):
        return Response(202, [("Content-Type", reports.content_type(form))], begun(_beating(call, plan, form), 2))
    try:
        stored, shown = _prepare(call, plan)
    except BadSegments as error:
        body = reports.render_errors(error.problems, form)
        return Response(400, [("Content-Type", reports.content_type(form))], body)
    step = call.objects.put(container, call.key, stored, shown, when, call.trace("swift:PutManifest"))
    etag = f'"{shown.settings[SLO_ETAG]}"'
    return step.then(lambda version: writing.created(container, version, etag))


def _beating(call: Call, plan: Plan, form: str) -> Iterator[bytes]:
    yield b" "
    report = reports.Report("slo", {}, phrase(201))
    lines = ""
    try:
        stored, shown = _prepare(call, plan)
        step = call.objects.put(
            plan.container, call.key, stored, shown, plan.conditions, call.trace("swift:PutManifest")
        )
        version = call.run(step)
        lines = f'Etag: "{shown.settings[SLO_ETAG]}"\nLast Modified: {last_modified(version.created_us)}\n'
    except BadSegments as error:
        report.status, report.errors = phrase(400), error.problems
    except Error as error:
        report.status, report.body = phrase(status_of(error)), message_of(error)
    body = reports.render(report, form)
    if form == "plain":
        body = lines.encode() + body
    yield b"\r\n\r\n" + body


def _prepare(call: Call, plan: Plan) -> tuple[Stored, Attributes]:
    """Check every segment and store the manifest's bytes. Raises `BadSegments`, `Invalid` (422)."""
    opener = call.opener()
    problems: Problems = []
    found = [_segment(call, opener, entry, problems) for entry in plan.entries]
    problems += [
        (entry.path, "Too Small; each segment must be at least 1 byte.")
        for entry, segment in zip(plan.entries[:-1], found, strict=False)
        if segment is not None and not segment.size
    ]
    if problems:
        raise BadSegments(problems)
    segments = tuple(segment for segment in found if segment is not None)
    etag = manifests.slo_etag(segments)
    if plan.etag is not None and plan.etag != etag:
        raise Invalid(f"the ETag header says {plan.etag}, the segments give {etag}", "etag")
    size = sum(segment.length for segment in segments)
    body = manifests.encode(segments)
    call.objects.precheck(plan.container, call.key, plan.conditions, len(body))
    stored = call.objects.receive(
        plan.container, BufferedBody(body), Receive(length=len(body), max_length=MAX_MANIFEST_SIZE * 2)
    )
    settings = {SLO_ETAG: etag, SLO_SIZE: str(size), SLO_COUNT: str(len(segments))}
    return stored, dataclasses.replace(plan.wish, kind=Kind.SLO, settings=settings)


def _segment(call: Call, opener: Opener, entry: Wanted, problems: Problems) -> Segment | None:
    if entry.data is not None:
        return Segment(size=len(entry.data), stop=len(entry.data), data=entry.data)
    try:
        container = call.locate(call.place.project_id, entry.container, "s3:GetObject")
        version = _readable(call, container, entry.key)
        container, version, _ = opener.follow(container, version)
        if version.kind is Kind.SLO and _depth(opener, container, version) >= MAX_DEPTH:
            raise Invalid("nested too deep", "manifest")
    except (NotFound, Denied, Unauthenticated, Conflict) as error:
        problems.append((entry.path, phrase(status_of(error))))
        return None
    except Invalid as error:
        problems.append((entry.path, error.public))
        return None
    return _compared(entry, version, problems)


def _readable(call: Call, container: Container, key: str) -> Version:
    try:
        version = call.objects.head(container, key)
    except NotFound:
        call.require("s3:GetObject", container, key)
        raise
    call.require("s3:GetObject", container, key, version)
    return version


def _depth(opener: Opener, container: Container, version: Version) -> int:
    """How many levels of manifests stand under one, itself included; stops counting at the limit."""
    level, depth = [version], 0
    while level and depth < MAX_DEPTH:
        depth += 1
        names = {
            (segment.container, segment.key)
            for manifest in level
            for segment in manifests.decode(opener.manifest(manifest))
            if segment.nested
        }
        level = []
        for name, key in sorted(names)[:100]:
            try:
                found = opener.objects.head(opener.objects.container(container.project_id, name), key)
            except NotFound:
                continue
            if found.kind is Kind.SLO:
                level.append(found)
    return depth


def _compared(entry: Wanted, version: Version, problems: Problems) -> Segment | None:
    size, etag = manifests.shown_size(version), manifests.shown_etag(version)
    count = len(problems)
    if entry.etag is not None and entry.etag != etag:
        problems.append((entry.path, "Etag Mismatch"))
    if entry.size is not None and entry.size != size:
        problems.append((entry.path, "Size Mismatch"))
    start, stop = _resolved(entry.span, size)
    if size and start >= stop:
        problems.append((entry.path, "Unsatisfiable Range"))
    if len(problems) > count:
        return None
    return Segment(
        entry.container,
        entry.key,
        etag,
        size,
        start,
        stop,
        nested=version.kind is Kind.SLO,
        content_type=version.attributes.content_type,
        modified=listed(shown_second(version.created_us) * US),
    )


def _resolved(span: tuple[int | None, int | None] | None, size: int) -> tuple[int, int]:
    if span is None:
        return 0, size
    first, last = span
    if first is None:
        return max(size - (last or 0), 0), size
    return first, size if last is None else min(last + 1, size)


def delete(call: Call) -> Response:
    """DELETE `?multipart-manifest=delete`: the manifest and all its segments."""
    container = call.open("s3:DeleteObject", key=call.key)
    if truth(call.params.get("async")):
        version = writing_head(call, container)
        if version.kind is not Kind.SLO:
            raise Invalid("Not an SLO manifest", "manifest")
        for _ in Deletion(call, "slo").run(_names(call, container, version)):
            pass
        return worded(202, "the segments and the manifest have been deleted")
    form = reports.form_of(call.header("accept"))
    deletion = Deletion(call, "delete")
    return Response(
        200, [("Content-Type", reports.content_type(form))], begun(_deleting(call, container, deletion, form))
    )


def writing_head(call: Call, container: Container) -> Version:
    """The current version of the path's object."""
    return call.objects.head(container, call.key)


def _deleting(call: Call, container: Container, deletion: Deletion, form: str) -> Iterator[bytes]:
    try:
        version = writing_head(call, container)
        if version.kind is not Kind.SLO and not version.parts:
            deletion.report.errors.append((f"/{container.name}/{call.key}", "Not an SLO manifest"))
        else:
            yield from deletion.run(_names(call, container, version))
    except NotFound:
        deletion.report.count("Number Not Found")
    except Error as error:
        deletion.report.errors.append((f"/{container.name}/{call.key}", phrase(status_of(error))))
    yield deletion.finished(form)


def _names(call: Call, container: Container, version: Version) -> Iterator[tuple[str, str]]:
    """(container, key) of all segments, nested ones included, and of the manifest last."""
    opener = call.opener()
    yield from _below(opener, container, version, 1)
    yield container.name, version.key


def _below(opener: Opener, container: Container, version: Version, depth: int) -> Iterator[tuple[str, str]]:
    if version.kind is not Kind.SLO or depth > MAX_DEPTH:
        return
    for segment in manifests.decode(opener.manifest(version)):
        if segment.data is not None:
            continue
        if segment.nested:
            try:
                found = opener.objects.head(
                    opener.objects.container(container.project_id, segment.container), segment.key
                )
                yield from _below(opener, container, found, depth + 1)
            except NotFound:
                pass
        yield segment.container, segment.key
