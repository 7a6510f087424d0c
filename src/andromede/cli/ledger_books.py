"""Where the ledger's commands read: on the server, from the database; elsewhere, over the API as a user of
clouds.yaml. Reading events on the server leaves the same event in the tenant's log as reading them over the API."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from andromede.cli import common
from andromede.errors import Invalid, NotFound

if TYPE_CHECKING:
    from andromede.app import Base
    from andromede.sovereignty.log import LogState
    from andromede.sovereignty.service import Ledger

API = "/sovereignty/v1"
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Given:
    """A receipt (`text`), or why there is none yet and how many seconds to wait."""

    origin: str
    index: int
    text: str | None
    reason: str = ""
    seconds: int = 1


class Book(Protocol):
    """One log."""

    def receipt(self, which: str, witnessed: bool) -> Given:
        """By index or request id."""

    def policy(self) -> str:
        """The policy file."""

    def checkpoint(self) -> str:
        """The newest note that meets the policy, else the newest."""

    def lines(self, size: int) -> Iterator[dict[str, Any]]:
        """The first `size` entries as exports have them."""


class RemoteBook:
    """A log over the API; `log` is empty for the caller's own."""

    def __init__(self, args: argparse.Namespace, log: str) -> None:
        from andromede.cli.remote import Remote

        self._remote = Remote(common.layout(args).clouds, args.cloud)
        self._base = f"{API}/logs/{quote(log.rpartition('/')[2], safe='')}" if log else API

    def receipt(self, which: str, witnessed: bool) -> Given:
        answer = self._remote.fetch(f"{self._base}/receipts/{quote(which, safe='')}{_witnessed(witnessed)}")
        if answer.status == 202:
            said = json.loads(answer.body)
            return Given(said["origin"], said["index"], None, said["waiting"], answer.retry_after)
        text = answer.body.decode()
        origin, index = _told(text)
        return Given(origin, index, text)

    def policy(self) -> str:
        return self._remote.fetch(f"{self._base}/policy").body.decode()

    def checkpoint(self) -> str:
        try:
            return self._remote.fetch(f"{self._base}/checkpoint{_witnessed(True)}").body.decode()
        except NotFound:
            return self._remote.fetch(f"{self._base}/checkpoint").body.decode()

    def lines(self, size: int) -> Iterator[dict[str, Any]]:
        first = 0
        while first < size:
            page = self._remote.get(f"{self._base}/events?from={first}&to={min(first + PAGE, size)}")
            yield from page["events"]
            if page["next"] <= first:
                return
            first = page["next"]

    def status(self) -> dict[str, Any]:
        """The state of the log."""
        return self._remote.get(f"{self._base}/status")


def _witnessed(wanted: bool) -> str:
    return "?witnessed=true" if wanted else ""


def _told(text: str) -> tuple[str, int]:
    from andromede.ledger.receipt import Receipt

    receipt = Receipt.parse(text)
    return receipt.checkpoint.partition("\n")[0], receipt.index


class LocalBook:
    """A log in the database of this installation."""

    def __init__(self, base: Base, ledger: Ledger, log: LogState) -> None:
        self._base = base
        self._ledger = ledger
        self.log = log

    def _note(self, action: str, what: str) -> None:
        from andromede.cli.store import operator
        from andromede.ids import request_id
        from andromede.sovereignty.service import Asking

        asking = Asking(operator(), action, request_id(self._base.ids), "OPERATOR_REVIEW")
        self._ledger.note(self.log, asking, what)

    def receipt(self, which: str, witnessed: bool) -> Given:
        from andromede.sovereignty.service import Waiting

        log = self._again()
        index = int(which) if which.isdigit() else self._ledger.by_request(log, which)
        found = self._ledger.receipt(log, index, witnessed)
        if isinstance(found, Waiting):
            return Given(log.origin, index, None, found.reason, found.seconds)
        self._note("ledger:receipt", f"receipt:{index}")
        return Given(log.origin, index, str(found))

    def _again(self) -> LogState:
        self.log = self._ledger.logs.log(self.log.tenant) or self.log
        return self.log

    def policy(self) -> str:
        return self._ledger.policy_text(self.log)

    def checkpoint(self) -> str:
        return self._ledger.accepted(self.log) or self._ledger.checkpoint(self.log)

    def lines(self, size: int) -> Iterator[dict[str, Any]]:
        from andromede.sovereignty import views

        log = self._again()
        self._note("ledger:export", f"events:0-{size}")
        for first in range(0, size, PAGE):
            yield from views.lines(self._ledger, log, first, min(first + PAGE, size))


@dataclass(frozen=True, slots=True)
class Local:
    """The installation in the data directory, open for reading its logs."""

    base: Base
    ledger: Ledger

    @classmethod
    def open(cls, args: argparse.Namespace) -> Local:
        """Raises `NotFound` without an installation, `Fatal` without the ledger's keys."""
        from andromede import app

        _, config = common.installed(args)
        base = app.Base.open(config, "operator")
        return cls(base, app.ledger_service(base))

    def book(self, name: str) -> LocalBook:
        """A log by project id or name, origin, its 16 digits, or `installation`. Raises `NotFound`."""
        found = self.ledger.find(name)
        if found is None:
            from andromede import app

            project = app.authenticator(self.base).project_by_name(name)
            found = self.ledger.logs.log(project.id) if project else None
            if project is not None and found is None:
                raise NotFound(f"project {name} has no log yet: it begins with its first event", "log")
        if found is None:
            raise NotFound(f"there is no log {name!r} here; list them with: andromede ledger status", "log")
        return LocalBook(self.base, self.ledger, found)

    def books(self) -> list[LocalBook]:
        """Every log, the installation's first."""
        return [LocalBook(self.base, self.ledger, log) for log in self.ledger.logs.all()]


def book(args: argparse.Namespace, log: str = "") -> Book:
    """The log that the command line names by --cloud, --project or `log`."""
    name = log or args.project or ""
    if args.cloud:
        return RemoteBook(args, name)
    if not name:
        raise Invalid(
            "say which log: --project ID|NAME|installation for one of this installation, or --cloud NAME for the "
            "own log of a user in clouds.yaml",
            "config",
        )
    return Local.open(args).book(name)
