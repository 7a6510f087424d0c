"""Deleting many: `?bulk-delete` and the segments of a large object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from andromede.errors import Error, Invalid, NotFound, TooLarge, Unauthenticated
from andromede.objects.model import Container, DeleteResult
from andromede.objects.swift import reports, writing
from andromede.objects.swift.answers import begun
from andromede.objects.swift.call import Call
from andromede.objects.swift.errors import phrase, status_of
from andromede.objects.swift.info import MAX_BULK_DELETES, MAX_BULK_FAILURES
from andromede.objects.swift.place import decode
from andromede.web.stream.message import Response

if TYPE_CHECKING:
    from andromede.objects.service import Step

MAX_BODY = MAX_BULK_DELETES * 4096
_TOGETHER = 128
"""Deletions that may share one commit; white space goes out after each."""
Name = tuple[str, str]


class Deletion:
    """Deletes names for one request and keeps the score. A name without key is a container."""

    def __init__(self, call: Call, root: str) -> None:
        self._call = call
        self._containers: dict[str, Container] = {}
        self._waiting: list[tuple[Name, Step[DeleteResult]]] = []
        self.report = reports.Report(root, {"Number Deleted": 0, "Number Not Found": 0})
        self._unauthorized = False

    def run(self, names: Iterable[Name]) -> Iterator[bytes]:
        """Delete, many in one commit; yields white space so that the client sees life. Stops at too many
        failures."""
        for count, name in enumerate(names, 1):
            self._one(name)
            if len(self.report.errors) >= MAX_BULK_FAILURES:
                self._flush()
                raise TooLarge("Max delete failures exceeded", "bulk")
            if count % _TOGETHER == 0:
                self._flush()
                yield b" "
        self._flush()

    def _one(self, name: Name) -> None:
        call = self._call
        try:
            if name[1]:
                container = self._container(name[0])
                call.require("s3:DeleteObject", container, name[1])
                self._waiting.append((name, writing.remove(call, container, name[1], None)))
                return
            self._flush()
            container = call.find(call.place.project_id, name[0], "s3:DeleteBucket")
            call.run(call.objects.delete_container(container, call.trace("swift:DeleteContainer")))
            self._containers.pop(name[0], None)
            self.report.count("Number Deleted")
        except Error as error:
            self._failed(name, error)

    def _flush(self) -> None:
        """Commit the deletions that wait."""
        waiting, self._waiting = self._waiting, []
        results = self._call.objects.run_all([step for _, step in waiting], self._call.footprint)
        for (name, _), result in zip(waiting, results, strict=True):
            if isinstance(result, Error):
                self._failed(name, result)
            elif result.version is None and result.marker is None:
                self.report.count("Number Not Found")
            else:
                self.report.count("Number Deleted")

    def _failed(self, name: Name, error: Error) -> None:
        if isinstance(error, NotFound):
            self.report.count("Number Not Found")
            return
        self._unauthorized |= isinstance(error, Unauthenticated)
        self.report.errors.append(("/".join(part for part in name if part), phrase(status_of(error))))

    def _container(self, name: str) -> Container:
        if name not in self._containers:
            call = self._call
            self._containers[name] = call.locate(call.place.project_id, name, "s3:DeleteObject")
        return self._containers[name]

    def finished(self, form: str) -> bytes:
        """The report, its status settled."""
        report = self.report
        if report.errors:
            report.status = phrase(401 if self._unauthorized else 400)
        elif not report.status:
            if any(report.counts.values()):
                report.status = phrase(200)
            else:
                report.status, report.body = phrase(400), "Invalid bulk delete."
        return reports.render(report, form)


def handle(call: Call) -> Response:
    """`POST ?bulk-delete` (DELETE too): one percent-encoded name a line. Always 200, the truth in the body."""
    if call.actor is None:
        raise call.refusal("bulk delete")
    deletion = Deletion(call, "delete")
    try:
        form = reports.form_of(call.header("accept"))
    except Invalid:
        deletion.report.status = phrase(406)
        return Response(200, [("Content-Type", "text/html; charset=UTF-8")], reports.render(deletion.report, "plain"))
    try:
        names = parse(call.small_body(MAX_BODY, what="the list of names"), deletion.report)
    except Error as error:
        deletion.report.status, deletion.report.body = phrase(status_of(error)), error.public
        return Response(200, [("Content-Type", reports.content_type(form))], reports.render(deletion.report, form))
    return Response(200, [("Content-Type", reports.content_type(form))], begun(_running(deletion, names, form)))


def _running(deletion: Deletion, names: list[Name], form: str) -> Iterator[bytes]:
    before = b""
    try:
        for beat in deletion.run(names):
            before = b"\r\n\r\n"
            yield beat
    except Error as error:
        deletion.report.status, deletion.report.body = phrase(status_of(error)), error.public
    yield before + deletion.finished(form)


def parse(body: bytes, report: reports.Report) -> list[Name]:
    """(container, key) per line; key "" for a container. Lines that are no names become errors of the
    report. Raises `TooLarge`."""
    lines = [line.strip() for line in body.split(b"\n")]
    lines = [line for line in lines if line]
    if len(lines) > MAX_BULK_DELETES:
        raise TooLarge(f"Maximum Bulk Deletes: {MAX_BULK_DELETES} per request", "bulk")
    found = []
    for line in lines:
        try:
            text = decode(line)
        except Invalid as error:
            report.errors.append((line.decode("latin-1"), phrase(status_of(error))))
            continue
        container, _, key = text.lstrip("/").partition("/")
        if container:
            found.append((container, key))
    return found
