"""The query of `GET /servers` into a search: every filter is honoured."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Any

from andromede.compute.checks import truth
from andromede.compute.core import Version, is_admin, project_of, version
from andromede.compute.model import Server
from andromede.compute.neighbours import AddressFacts
from andromede.compute.server_store import SORTS, Search
from andromede.compute.states import NUMBERS, states_of_status, view
from andromede.errors import Denied, Invalid
from andromede.web.call import Call

EQUAL = {
    "flavor": None,
    "image": "image_id",
    "host": "host",
    "node": "host",
    "user_id": "user_id",
    "reservation_id": "reservation_id",
    "availability_zone": None,
    "key_name": "key_name",
    "launch_index": "launch_index",
    "access_ip_v4": "access_ip_v4",
    "accessIPv4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "accessIPv6": "access_ip_v6",
    "progress": "progress",
    "root_device_name": "root_device_name",
    "description": None,
    "uuid": "id",
}
"""Filter -> column, None where it is looked at row by row."""
ADMIN_ONLY = frozenset({"host", "node", "launch_index", "progress", "root_device_name"})
NUMERIC = frozenset({"launch_index", "progress"})
TAGGED = ("tags", "tags-any", "not-tags", "not-tags-any")


def instant(text: str, name: str) -> int:
    """Microseconds of an ISO 8601 instant. Raises `Invalid`."""
    try:
        plus = "T" in text and re.search(r" \d\d:?\d\d$", text)  # a plus sign that the query turned into a blank
        value = dt.datetime.fromisoformat(text.replace(" ", "+") if plus else text)
        value = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return int(value.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Invalid input for query parameters {name}. Value: {text}. It is not a 'date-time'.") from error


def _pattern(text: str) -> re.Pattern[str]:
    """A client's regular expression; one that is none, or is long, is taken as plain text."""
    try:
        if len(text) > 255 or len(re.findall(r"[*+{]", text)) > 3 or re.search(r"[)*+}][*+{]", text):
            return re.compile(re.escape(text), re.IGNORECASE)
        return re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return re.compile(re.escape(text), re.IGNORECASE)


class Filters:
    """What a call asks of a list. Raises `Invalid` for what cannot be understood."""

    def __init__(self, call: Call[Any]) -> None:
        self._call = call
        self._admin = is_admin(call)
        self._version: Version = version(call)
        self._query = dict(reversed(call.query.pairs))
        self._name = _pattern(self._query.get("name", ""))

    def search(self) -> Search:
        """The part that the database answers."""
        query, every = self._query, False
        if "all_tenants" in query or "all_projects" in query:
            word = query.get("all_tenants", query.get("all_projects", ""))
            every = truth("all_tenants", word) if word else True
        if every and not self._admin:
            raise Denied(
                "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.", "policy"
            )
        equal: dict[str, Any] = {} if every else {"project_id": project_of(self._call)}
        if self._admin and every and (owner := query.get("project_id") or query.get("tenant_id")):
            equal["project_id"] = owner
        for name, column in EQUAL.items():
            if name in query and column is not None and (self._admin or name not in ADMIN_ONLY):
                equal[column] = self._equal(name, query[name])
        return Search(
            equal, None, self._deleted(), None, self._since("changes-since"), self._before(), self._tags(), self._sort()
        )

    def _equal(self, name: str, value: str) -> Any:
        if name in NUMERIC:
            return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else -1
        if name == "image":
            return value.rstrip("/").rpartition("/")[2]
        return value

    def _deleted(self) -> bool | None:
        query = self._query
        if self._admin and "deleted" in query:
            return truth("deleted", query["deleted"])
        if self._admin and query.get("status", "").lower() == "deleted":
            return True
        return None if "changes-since" in query else False

    def _since(self, name: str) -> int | None:
        return instant(self._query[name], name) if name in self._query else None

    def _before(self) -> int | None:
        return self._since("changes-before") if self._version >= (2, 66) else None

    def _tags(self) -> tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]:
        if self._version < (2, 26):
            return ((), (), (), ())
        found = [[tag for tag in self._query.get(name, "").split(",") if tag] for name in TAGGED]
        return found[0], found[1], found[2], found[3]

    def _sort(self) -> list[tuple[str, bool]]:
        keys, ways = self._call.query.all("sort_key"), self._call.query.all("sort_dir")
        if any(way not in ("asc", "desc") for way in ways):
            raise Invalid(f"Unknown sort direction {ways}: asc and desc are known.", "query")
        found = []
        for number, key in enumerate(keys or ["created_at"]):
            if key not in SORTS:
                raise Invalid(f"Sort key supplied is not valid: {key}", "query")
            default = ways[-1] if ways else "desc"
            found.append((SORTS[key], (ways[number] if number < len(ways) else default) == "desc"))
        return found

    def fits(self, server: Server) -> bool:
        """The part that is looked at row by row, addresses left out."""
        query, shown = self._query, view(server)
        if "name" in query and not self._name.search(server.name):
            return False
        for status_ok in self._statuses(server):
            if not status_ok:
                return False
        if "vm_state" in query and self._admin and shown.vm_state != query["vm_state"].lower():
            return False
        if "task_state" in query and self._admin and (shown.task_state or "") != query["task_state"].lower():
            return False
        return self._plain(server)

    def _statuses(self, server: Server) -> list[bool]:
        words = [word for word in self._call.query.all("status") if word]
        if not words:
            return []
        known = [word for word in words if states_of_status(word)]
        if not known and self._version >= (2, 38):
            raise Invalid(f"Invalid status value: {words[0]!r}.", "query")
        return [view(server).status in {word.upper() for word in known}]

    def _plain(self, server: Server) -> bool:
        query = self._query
        tests: tuple[tuple[str, Callable[[str], bool]], ...] = (
            ("flavor", lambda v: str(server.flavor.get("id")) == v.rstrip("/").rpartition("/")[2]),
            ("availability_zone", lambda v: (server.availability_zone or "nova") == v),
            ("description", lambda v: bool(_pattern(v).search(server.description or ""))),
            ("hostname", lambda v: server.hostname == v),
            ("config_drive", lambda v: server.config_drive == truth("config_drive", v)),
            ("power_state", lambda v: str(view(server).power_state) == v or _power(v) == view(server).power_state),
            ("locked", lambda v: server.locked == truth("locked", v)),
        )
        for name, test in tests:
            if name in query and (name != "locked" or self._version >= (2, 73)) and not test(query[name]):
                return False
        return True

    def wants_addresses(self) -> bool:
        """Whether addresses decide."""
        return "ip" in self._query or "ip6" in self._query

    def fits_addresses(self, found: Sequence[AddressFacts]) -> bool:
        """Whether an address fits what the client wrote: a part of it, or a regular expression."""
        for name, family in (("ip", 4), ("ip6", 6)):
            if name in self._query:
                pattern = _pattern(self._query[name])
                if not any(item.version == family and pattern.search(item.address) for item in found):
                    return False
        return True


def _power(word: str) -> int:
    return {str(name): number for name, number in NUMBERS.items()}.get(word.lower(), -1)
