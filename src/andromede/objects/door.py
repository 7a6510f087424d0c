"""The dispatcher of the object port: a few reserved paths are Swift's, everything else is S3's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.objects.replaced import steadily
from andromede.objects.s3.place import host_name
from andromede.web.stream.message import Commit, Request, Response
from andromede.web.stream.ports import Answerer

_SWIFT = frozenset({b"/v1", b"/v1.0", b"/info", b"/healthcheck", b"/crossdomain.xml"})
_SWIFT_BELOW = (b"/v1/", b"/v1.0/")


class Dispatcher:
    """The `Answerer` of the edge. `domains`: host names below which every path belongs to one bucket."""

    def __init__(self, s3: Answerer, swift: Answerer, domains: Sequence[str] = ()) -> None:
        self._s3 = s3
        self._swift = swift
        self._suffixes = tuple("." + domain.lower() for domain in domains)

    def _door(self, request: Request) -> Answerer:
        path = request.path
        if path in _SWIFT or path.startswith(_SWIFT_BELOW):
            return self._s3 if self._suffixes and host_name(request).endswith(self._suffixes) else self._swift
        return self._s3

    def express(self, request: Request) -> Response | Commit[Any] | None:
        """The answer at once, where the door has a short way for the request."""
        return self._door(request).express(request)

    def quick(self, request: Request) -> bool:
        """Whether `handle` may run on the loop's thread."""
        return self._door(request).quick(request)

    def handle(self, request: Request) -> Response | Commit[Any]:
        """Answer by the door that the path belongs to."""
        return steadily(self._door(request).handle, request)

    def error(self, request: Request | None, error: BaseException) -> Response:
        """Render a failure in the dialect of the request; unreadable requests get S3's form."""
        return (self._s3 if request is None else self._door(request)).error(request, error)
