"""Deleting many: `?bulk-delete` and the segments of a large object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from andromede.errors import Error, Invalid, NotFound, TooLarge, Unauthenticated
from andromede.objects.model import Container
from andromede.objects.swift import reports, writing
from andromede.objects.swift.call import Call
from andromede.objects.swift.errors import phrase, status_of
from andromede.objects.swift.info import MAX_BULK_DELETES, MAX_BULK_FAILURES
from andromede.objects.swift.place import decode
from andromede.web.stream.message import Response

MAX_BODY = MAX_BULK_DELETES * 4096
_BEAT = 64
"""White space goes out after so many names."""
Name = tuple[str, str]


class Deletion:
    """Deletes names for one request and keeps the score. A name without key is a container."""

    def __init__(self, call: Call, root: str) -> None:
        self._call = call
        self._containers: dict[str, Container] = {}
        self.report = reports.Report(root, {"Number Deleted": 0, "Number Not Found": 0})
        self._unauthorized = False

    def run(self, names: Iterable[Name]) -> Iterator[bytes]:
        """Delete; yields white space so that the client sees life. Stops at too many failures."""
        for count, name in enumerate(names, 1):
            self._one(name)
            if len(self.report.errors) >= MAX_BULK_FAILURES:
                raise TooLarge("Max delete failures exceeded", "bulk")
            if count % _BEAT == 0:
                yield b" "

    def _one(self, name: Name) -> None:
        shown = "/".join(part for part in name if part)
        try:
            self._delete(*name)
            self.report.count("Number Deleted")
        except NotFound:
            self.report.count("Number Not Found")
        except Error as error:
            self._unauthorized |= isinstance(error, Unauthenticated)
            self.report.errors.append((shown, phrase(status_of(error))))

    def _delete(self, name: str, key: str) -> None:
        call = self._call
        if not key:
            container = call.find(call.place.project_id, name, "s3:DeleteBucket")
            call.run(call.objects.delete_container(container, call.trace("swift:DeleteContainer")))
            self._containers.pop(name, None)
            return
        container = self._container(name)
        call.require("s3:DeleteObject", container, key)
        call.run(writing.remove(call, container, key, None))

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
    return Response(200, [("Content-Type", reports.content_type(form))], _running(deletion, names, form))


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
