"""GET of a container: objects, or with `?versions` all versions."""

from __future__ import annotations

from andromede.errors import Invalid, NotFound
from andromede.objects.model import Container, ListQuery, Version, VersionQuery
from andromede.objects.swift import listing
from andromede.objects.swift.answers import listed
from andromede.objects.swift.call import Call
from andromede.objects.swift.container import headers
from andromede.objects.swift.entries import entry, own_account, version_entry, xml_entry
from andromede.objects.swift.listing import Entry, Query
from andromede.objects.swift.place import text
from andromede.web.stream.message import Response


def read(call: Call) -> Response:
    """GET: one full page."""
    container = call.open("s3:ListBucket")
    if "versions" in call.params:
        return _versions(call, container)
    form = listing.chosen_format(call.params, call.header("accept"))
    query = listing.parse(call.params)
    entries = objects(call, container, query)
    if form.endswith("xml"):
        entries = [found if "subdir" in found else xml_entry(found) for found in entries]
    body = listing.render(entries, form, ("container", container.name), "object")
    return listed(call.method, body, listing.TYPES[form], headers(call, container))


def objects(call: Call, container: Container, query: Query) -> list[Entry]:
    """The entries of a listing of current objects."""
    if not query.limit:
        return []
    if query.path is not None:
        return _by_path(call, container, query)
    account = own_account(container.project_id)
    wanted = ListQuery(query.prefix, query.delimiter, query.marker, query.end_marker, query.limit, query.reverse)
    entries = call.objects.list_objects(container, wanted).entries
    if (group := _cut_group(call, container, wanted)) is not None:
        entries = (group, *entries)[: query.limit]
    return [{"subdir": item} if isinstance(item, str) else entry(item, account) for item in entries]


def _cut_group(call: Call, container: Container, q: ListQuery) -> str | None:
    """The common prefix that the marker lies inside of, when names of it follow the marker: Swift shows it
    again, while the model takes a marker inside a group as standing behind it (in descending order before it)."""
    if not q.delimiter or q.reverse or not q.after.startswith(q.prefix):
        return None
    stem, found, rest = q.after[len(q.prefix) :].partition(q.delimiter)
    group = q.prefix + stem + q.delimiter
    if not found or not rest:
        return None
    inside = ListQuery(prefix=group, after=q.after, before=q.before, limit=1, reverse=q.reverse)
    return group if call.objects.list_objects(container, inside).entries else None


def _by_path(call: Call, container: Container, query: Query) -> list[Entry]:
    """`?path=`: the objects directly in a pseudo-directory, those that stand for directories included."""
    directory = query.path.rstrip("/") + "/" if query.path else ""
    account = own_account(container.project_id)

    def fetch(after: str, count: int) -> tuple[list[Entry], str, bool]:
        page = call.objects.list_objects(
            container, ListQuery(directory, "/", after, query.end_marker, count, query.reverse)
        )
        found = []
        for item in page.entries:
            version = _named(call, container, item) if isinstance(item, str) else item
            if version is not None and version.key != directory:
                found.append(entry(version, account))
        return found, page.last, page.truncated

    return listing.filled(query.limit, fetch, query.marker)


def _named(call: Call, container: Container, name: str) -> Version | None:
    try:
        return call.objects.head(container, name)
    except NotFound:
        return None


def _versions(call: Call, container: Container) -> Response:
    if call.params.get("format", "json").lower() != "json":
        raise Invalid("a listing of versions comes as application/json only", "accept")
    query = listing.parse(call.params)
    if query.reverse or query.end_marker:
        return _bounded_versions(call, container, query)
    found = call.objects.list_versions(container, _query(call, query)).entries if query.limit else ()
    return _rendered(call, container, found)


def _query(call: Call, query: Query) -> VersionQuery:
    after_id = text(call.params, "version_marker")
    if after_id and not query.marker:
        raise Invalid("version_marker param requires marker", "parameter")
    return VersionQuery(query.prefix, query.delimiter, query.marker, after_id, query.limit)


def _bounded_versions(call: Call, container: Container, query: Query) -> Response:
    """`end_marker` cuts the page; `reverse` of versions is not offered."""
    if query.reverse:
        raise Invalid("a listing of versions cannot be reversed", "parameter")
    found = call.objects.list_versions(container, _query(call, query)).entries if query.limit else ()
    return _rendered(call, container, tuple(item for item in found if _name(item) < query.end_marker))


def _name(item: Version | str) -> str:
    return item if isinstance(item, str) else item.key


def _rendered(call: Call, container: Container, found: tuple[Version | str, ...]) -> Response:
    account = own_account(container.project_id)
    entries = [{"subdir": item} if isinstance(item, str) else version_entry(item, account) for item in found]
    body = listing.render(entries, "json", ("container", container.name), "object")
    return listed(call.method, body, listing.FORMATS["json"], headers(call, container))
