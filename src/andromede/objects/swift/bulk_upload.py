"""`PUT ?extract-archive=`: each file of a tar archive becomes an object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from andromede.errors import Error, Invalid, NotFound, TooLarge, Unauthenticated
from andromede.objects.model import NO_CONDITIONS, Attributes, Container, NewContainer, Receive, Version
from andromede.objects.swift import attributes, metadata, reports, writing
from andromede.objects.swift.answers import begun
from andromede.objects.swift.call import Call
from andromede.objects.swift.container import s3_name_wish
from andromede.objects.swift.errors import message_of, phrase, status_of
from andromede.objects.swift.info import MAX_BULK_CONTAINERS, MAX_BULK_FAILURES, MAX_FILE
from andromede.objects.swift.place import MAX_CONTAINER, storable
from andromede.objects.swift.tarball import KINDS, Member, TarReader
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.service import Step

MAX_UNPACKED = 1 << 40
_META = "SCHILY.xattr.user.meta."
_TYPE = "SCHILY.xattr.user.mime_type"
_TOGETHER = 64
"""Files that may share one commit; white space goes out after each."""


def handle(call: Call) -> Response:
    """Always 200, the truth in the body."""
    kind = call.params["extract-archive"].strip().lower()
    if kind not in KINDS:
        raise Invalid("Unsupported archive format", "archive")
    if call.actor is None:
        raise call.refusal("extracting an archive")
    report = reports.Report("extract", {"Number Files Created": 0})
    try:
        form = reports.form_of(call.header("accept"))
    except Invalid:
        report.status = phrase(406)
        return Response(200, [("Content-Type", "text/html; charset=UTF-8")], reports.render(report, "plain"))
    extraction = Extraction(call, report)
    return Response(200, [("Content-Type", reports.content_type(form))], begun(extraction.run(kind, form)))


class Extraction:
    """One archive on its way into the account."""

    def __init__(self, call: Call, report: reports.Report) -> None:
        self._call = call
        self._report = report
        self._containers: dict[str, Container] = {}
        self._made = 0
        self._waiting: list[tuple[str, Step[Version]]] = []
        self._unauthorized = False

    def run(self, kind: str, form: str) -> Iterator[bytes]:
        """White space while it goes on, then the report."""
        report = self._report
        before = b""
        try:
            archive = TarReader(self._call.request.body, kind, MAX_UNPACKED)
            for count, member in enumerate(archive.members(), 1):
                self._member(archive, member)
                if len(report.errors) >= MAX_BULK_FAILURES:
                    raise Invalid("Too many failures", "bulk")
                if count % _TOGETHER == 0:
                    self._flush()
                    before = b"\r\n\r\n"
                    yield b" "
        except Error as error:
            named = f"Invalid Tar File: {error.public}" if error.reason == "tar" else message_of(error)
            report.status, report.body = phrase(status_of(error)), named
        self._flush()
        yield before + self._finished(form)

    def _finished(self, form: str) -> bytes:
        report = self._report
        if not report.status:
            if report.errors:
                report.status = phrase(401 if self._unauthorized else 400)
            elif report.counts["Number Files Created"]:
                report.status = phrase(201)
            else:
                report.status, report.body = phrase(400), "Invalid Tar File: No Valid Files"
        return reports.render(report, form)

    def _member(self, archive: TarReader, member: Member) -> None:
        call = self._call
        name = member.name
        while name.startswith("./"):
            name = name[2:]
        path = "/".join(part for part in (call.place.container, call.place.key, name.lstrip("/")) if part)
        container, _, key = path.partition("/")
        if not container or not key or ".." in name.split("/"):
            return
        try:
            self._waiting.append((path, self._store(archive, member, container, key)))
        except Error as error:
            if error.reason in ("tar", "bulk") or "short body" in error.public:
                raise
            self._failed(path, error)

    def _failed(self, path: str, error: Error) -> None:
        self._unauthorized |= isinstance(error, Unauthenticated)
        self._report.errors.append((path.encode("utf-8", "replace").decode(), phrase(status_of(error))))

    def _flush(self) -> None:
        """Commit the files that wait."""
        waiting, self._waiting = self._waiting, []
        results = self._call.objects.run_all([step for _, step in waiting], self._call.footprint)
        for (path, _), result in zip(waiting, results, strict=True):
            if isinstance(result, Error):
                self._failed(path, result)
            else:
                self._report.count("Number Files Created")

    def _store(self, archive: TarReader, member: Member, name: str, key: str) -> Step[Version]:
        call = self._call
        if not storable(name + key):
            raise Invalid("a name in the archive is not UTF-8", "utf8")
        writing.check_key(key)
        if member.size > MAX_FILE:
            raise TooLarge(f"a file of the archive is larger than {MAX_FILE} bytes", "body")
        container = self._container(name)
        call.require("s3:PutObject", container, key)
        wish = self._attributes(member, key)
        call.objects.precheck(container, key, NO_CONDITIONS, member.size)
        stored = call.objects.receive(container, archive, Receive(length=member.size, max_length=MAX_FILE))
        return call.objects.put(container, key, stored, wish, NO_CONDITIONS, call.trace("swift:ExtractArchive"))

    def _attributes(self, member: Member, key: str) -> Attributes:
        given = {
            name[len(_META) :].lower(): value.encode("utf-8", "surrogateescape").decode("latin-1")
            for name, value in member.attributes.items()
            if name.startswith(_META) and value
        }
        metadata.check(dict(given), "object")
        kind = member.attributes.get(_TYPE, "").encode("utf-8", "surrogateescape").decode("latin-1")
        guessed = attributes.guessed_type(key)
        return Attributes(content_type=attributes.checked_type(kind) if kind else guessed, metadata=given)

    def _container(self, name: str) -> Container:
        """The container of a file, made when it is not there."""
        known = self._containers.get(name)
        if known is not None:
            return known
        call = self._call
        try:
            found = call.locate(call.place.project_id, name, "s3:PutObject")
        except NotFound:
            found = self._create(name)
        self._containers[name] = found
        return found

    def _create(self, name: str) -> Container:
        call = self._call
        call.require_account("s3:CreateBucket")
        self._made += 1
        if self._made > MAX_BULK_CONTAINERS:
            raise Invalid(f"More than {MAX_BULK_CONTAINERS} containers to create from tar.", "bulk")
        if len(name.encode()) > MAX_CONTAINER:
            raise Invalid(f"Container name longer than {MAX_CONTAINER}", "name")
        project = call.place.project_id
        new = NewContainer(project, name, owner_id=project, want_s3_name=s3_name_wish(name))
        return call.run(call.objects.create_container(new, call.trace("swift:PutContainer")))[0]
