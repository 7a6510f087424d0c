"""Containers as websites: index pages, listings in HTML, error pages.

Object Storage API, "Static web": for anonymous reads, or with `X-Web-Mode: true`.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from andromede.clock import utc
from andromede.errors import Denied, Error, NotFound, Unauthenticated
from andromede.objects import manifests
from andromede.objects.model import Container, ListQuery, Version
from andromede.objects.swift import errors, reading
from andromede.objects.swift.listing import LIMIT, truth
from andromede.web.stream.message import Commit, Response

if TYPE_CHECKING:
    from andromede.objects.swift.call import Call

Handler = Callable[["Call"], "Response | Commit[Any]"]
_DIRECTORY = "application/directory"


def concerns(call: Call) -> bool:
    """Whether a request is one that a website answers."""
    if call.method not in ("GET", "HEAD") or call.place.container is None:
        return False
    return call.actor is None or truth(call.header("x-web-mode"))


def serve(call: Call, handler: Handler) -> Response | Commit[Any]:
    """Answer as a website where the container is one, else as `handler` does."""
    try:
        container = call.objects.container(call.place.project_id, call.name)
    except NotFound:
        return handler(call)
    site = Site(call, container)
    if not site.configured:
        return handler(call)
    call.container = container
    try:
        return site.page(handler)
    except (NotFound, Unauthenticated, Denied) as error:
        return site.error_page(error)


class Site:
    """One container's settings and the request for one of its pages."""

    def __init__(self, call: Call, container: Container) -> None:
        self._call = call
        self._container = container
        meta = container.metadata
        self.index = meta.get("web-index", "").strip()
        self.error = meta.get("web-error", "").strip()
        self.listings = truth(meta.get("web-listings"))
        self.directory_type = meta.get("web-directory-type", _DIRECTORY).strip()

    @property
    def configured(self) -> bool:
        """Whether the container is a website at all."""
        return bool(self.index or self.error or self.listings)

    def page(self, handler: Handler) -> Response | Commit[Any]:
        """The page of the path. Raises `NotFound` and refusals."""
        call = self._call
        if call.place.key is None:
            if not self.index and not self.listings:
                return handler(call)
            if not call.request.path.endswith(b"/"):
                self._require_directory("")
                return self._slash()
            return self._directory("")
        if call.key.endswith("/") and (self.index or self.listings):
            return self._directory(call.key)
        return self._object(handler)

    def _object(self, handler: Handler) -> Response | Commit[Any]:
        call = self._call
        try:
            version = reading.find(call, self._container)
        except NotFound:
            if self._is_directory(call.key + "/"):
                return self._slash()
            raise
        marker = version.size <= 1 and version.attributes.content_type == self.directory_type
        if marker and (self.index or self.listings):
            if self._is_directory(call.key + "/"):
                return self._slash()
            raise NotFound(f"{call.place.path} stands for a directory without pages", "object")
        return handler(call)

    def _is_directory(self, prefix: str) -> bool:
        """Whether there is a page for the prefix that this reader may see; else not even its existence shows."""
        call = self._call
        if self.index and call.allowed("s3:GetObject", self._container, prefix + self.index):
            try:
                call.objects.head(self._container, prefix + self.index)
                return True
            except NotFound:
                pass
        if not self.listings or not call.allowed("s3:ListBucket", self._container):
            return False
        return bool(call.objects.list_objects(self._container, ListQuery(prefix=prefix, limit=1)).entries)

    def _require_directory(self, prefix: str) -> None:
        """Raises a refusal unless the reader may see the index or the listing of a prefix."""
        call = self._call
        if not (self.index and call.allowed("s3:GetObject", self._container, prefix + self.index)):
            call.require("s3:ListBucket", self._container)

    def _slash(self) -> Response:
        location = quote(self._call.place.path, safe="/~") + "/"
        return Response(301, [("Location", location), ("Content-Type", errors.PAGE)], errors.page(301, location))

    def _directory(self, prefix: str) -> Response:
        call = self._call
        if self.index:
            found = self._read(prefix + self.index)
            if found is not None:
                return found
        if not self.listings:
            raise NotFound(f"{call.place.path} does not exist", "object")
        call.require("s3:ListBucket", self._container)
        return self._listing(prefix)

    def _read(self, key: str) -> Response | None:
        """An object of the site as an answer, None when it is not there."""
        call = self._call
        aside = call.aside(key)
        try:
            return reading.read(aside)
        except NotFound:
            return None

    def error_page(self, error: Error) -> Response:
        """The site's own page for a refusal, its status kept; raises the refusal when there is none."""
        status = errors.status_of(error)
        if not self.error:
            raise error
        try:
            found = self._read(f"{status}{self.error}")
        except Error:
            found = None
        if found is None or found.status != 200:
            raise error
        found.status = status
        if status == 401:
            account = self._call.place.account
            found.headers.append(("Www-Authenticate", f'Swift realm="{account}"'.encode("ascii", "replace")))
        return found

    def _listing(self, prefix: str) -> Response:
        page = self._call.objects.list_objects(self._container, ListQuery(prefix=prefix, delimiter="/", limit=LIMIT))
        if prefix and not page.entries:
            raise NotFound(f"{self._call.place.path} does not exist", "object")
        body = self._document(prefix, page.entries).encode("utf-8", "replace")
        headers: list[tuple[str, str | bytes]] = [("Content-Type", errors.PAGE)]
        return Response(200, headers, b"" if self._call.method == "HEAD" else body, length=len(body))

    def _document(self, prefix: str, entries: tuple[Version | str, ...]) -> str:
        meta = self._container.metadata
        place = self._call.place
        label = meta.get("web-listings-label")
        base = f"{_utf8(label)}/{prefix}" if label else f"/{place.version}/{place.account}/{place.container}/{prefix}"
        title = html.escape(base)
        rows = [_row(entry, prefix) for entry in entries]
        if prefix:
            rows.insert(0, '<tr id="parent" class="item"><td class="colname"><a href="../">../</a></td>' + _BLANK)
        return (
            "<!DOCTYPE html>\n<html>\n<head>\n"
            f'<meta charset="utf-8" />\n<title>Listing of {title}</title>\n{self._style(prefix)}</head>\n<body>\n'
            f'<h1 id="title">Listing of {title}</h1>\n<table id="listing">\n'
            '<tr id="heading"><th class="colname">Name</th><th class="colsize">Size</th>'
            '<th class="coldate">Date</th></tr>\n' + "\n".join(rows) + "\n</table>\n</body>\n</html>\n"
        )

    def _style(self, prefix: str) -> str:
        css = self._container.metadata.get("web-listings-css")
        if not css:
            return "<style>h1 {font-size: 1em; font-weight: bold;} td, th {padding: 0 1em; text-align: left;}</style>\n"
        css = _utf8(css)
        if not css.startswith(("/", "http://", "https://")):
            css = "../" * prefix.count("/") + quote(css)
        return f'<link rel="stylesheet" type="text/css" href="{html.escape(css)}" />\n'


_BLANK = '<td class="colsize">&nbsp;</td><td class="coldate">&nbsp;</td></tr>'


def _utf8(text: str) -> str:
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def _row(entry: Version | str, prefix: str) -> str:
    name = entry if isinstance(entry, str) else entry.key
    short = name[len(prefix) :]
    # "./" keeps a name with a colon from being read as a scheme
    link = f'<td class="colname"><a href="./{quote(short)}">{html.escape(short)}</a></td>'
    if isinstance(entry, str):
        return f'<tr class="item subdir">{link}{_BLANK}'
    date = utc(entry.created_us).strftime("%Y-%m-%d %H:%M:%S")
    size = f'<td class="colsize">{manifests.shown_size(entry)}</td><td class="coldate">{date}</td></tr>'
    return f'<tr class="item">{link}{size}'
