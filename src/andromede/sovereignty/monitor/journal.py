"""The tenant's own counter-check: what the answers promised against what the log holds.

The journal is a file of JSON lines that the tenant's clients write, one for each answer with an `Andromede-Ledger`
header: {"ledger": "<origin> <index>", "request_id": "..."}; other members are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from andromede.clock import US, iso_second
from andromede.errors import Invalid
from andromede.ledger import tree
from andromede.ledger.receipt import Receipt
from andromede.sovereignty.monitor.evidence import CONTRADICTION, NOTE, STALE, Finding, b64
from andromede.sovereignty.monitor.follow import Desk
from andromede.sovereignty.monitor.relation import Pinned
from andromede.sovereignty.monitor.site import Shown
from andromede.sovereignty.monitor.sources import read_event
from andromede.sovereignty.monitor.views import Limits

READ_AT_ONCE = 16 * 1024 * 1024
_NAMES = ("ledger", "andromede-ledger")
_IDS = ("request_id", "x-openstack-request-id", "x-amz-request-id", "x-trans-id")


def same_request(found: str, given: str) -> bool:
    """Whether an event's request id is the one that the client was given: `req-...`, or Swift's form of it."""
    if given.startswith("tx"):
        return len(given) > 20 and found.replace("-", "").endswith(given[2:].partition("-")[0])
    return found == given


class Journal:
    """`state.journal`: `offset` and `inode` of what was read, `open` promises [index, request id, since]."""

    def __init__(self, desk: Desk, pinned: Pinned, limits: Limits, path: Path) -> None:
        self._desk = desk
        self._limits = limits
        self._pinned = pinned
        self._path = path
        self._kept = desk.state.journal
        self._open: dict[int, list[tuple[str, int]]] = {}
        for index, request_id, since in self._kept.get("open", []):
            self._open.setdefault(index, []).append((request_id, since))

    @property
    def waits(self) -> bool:
        """Whether a promise is open."""
        return bool(self._open)

    def store(self) -> None:
        """Bring the state up to date."""
        self._kept["open"] = [[index, *one] for index, ones in sorted(self._open.items()) for one in ones]

    def read(self) -> None:
        """Take in the lines that were added. Raises `Invalid` when the file cannot be read."""
        try:
            with self._path.open("rb") as file:
                status = self._path.stat()
                offset = int(self._kept.get("offset", 0))
                if status.st_ino != self._kept.get("inode") or status.st_size < offset:
                    offset = 0
                file.seek(offset)
                data = file.read(READ_AT_ONCE)
        except OSError as error:
            raise Invalid(f"the journal {self._path} cannot be read: {error.strerror}", "config") from error
        data = data[: data.rfind(b"\n") + 1]
        self._kept |= {"offset": offset + len(data), "inode": status.st_ino}
        foreign = bad = 0
        for line in data.splitlines():
            promise = _promise(line)
            if promise is None:
                bad += bool(line.strip())
            elif promise[0] != self._pinned.origin:
                foreign += 1
            else:
                self._open.setdefault(promise[1], []).append((promise[2], self._desk.clock.now_us()))
        if bad:
            self._desk.report(
                Finding(STALE, "journal-form", f"{bad} lines of the journal were not understood", "journal")
            )
        if foreign:
            self._desk.report(
                Finding(NOTE, "journal-other", f"{foreign} lines of the journal name other logs", "journal")
            )

    def see(self, shown: Shown) -> None:
        """Settle the promises about an entry that is proved to be in the tree."""
        for request_id, _ in self._open.pop(shown.index, []):
            if shown.salt is None:
                text = f"entry {shown.index} was promised to {request_id}, and its content is withheld"
                self._desk.report(Finding(STALE, "promise-withheld", text, request_id))
                continue
            fields = read_event(shown.event)
            if fields is None or not same_request(fields["request_id"], request_id):
                other = fields["request_id"] if fields else "something else"
                text = f"entry {shown.index} was promised to request {request_id}, and the log holds {other} there"
                self._desk.report(Finding(CONTRADICTION, "promise", text, request_id, self._facts(shown, request_id)))

    def _facts(self, shown: Shown, request_id: str) -> dict[str, Any]:
        """The promise (the tenant's own record) and a receipt of what stands in its place (the log's word)."""
        copy, note = self._desk.copy, self._desk.state.note
        promised = {"ledger": f"{self._pinned.origin} {shown.index}", "request_id": request_id}
        path = tree.inclusion(copy.read, shown.index, copy.size)
        receipt = Receipt(shown.salt or b"", shown.event, shown.index, tuple(path), note)
        whole = self._pinned.open(note).size == copy.size
        return {"promised": promised, "note": note} | ({"receipt": str(receipt)} if whole else {})

    def settle(self) -> None:
        """Fetch the events of promises that stand in the part that was proved earlier, and report late ones."""
        state, now = self._desk.state, self._desk.clock.now_us()
        for first, to in _runs(sorted(index for index in self._open if index < state.verified)):
            shown = self._desk.site.events(first, to)
            for index in [index for index in self._open if first <= index < to]:
                one = shown.get(index) or Shown(index, None, b"")
                if one.leaf not in (None, self._desk.copy.read(0, index, 1)[0]):
                    text = f"event {index} as shown now is not the one that was proved: it or its salt was changed"
                    shown_now = {"index": index, "salt": b64(one.salt or b""), "event": b64(one.event)}
                    self._desk.report(Finding(CONTRADICTION, "event", text, str(index), shown_now))
                self.see(one)
        for index, ones in sorted(self._open.items()):
            late = [one for one in ones if index >= state.verified and now - one[1] > self._limits.lag * US]
            for request_id, since in late[:1]:
                grade = CONTRADICTION if now - since > self._limits.fresh * US else STALE
                text = (
                    f"entry {index}, promised to {request_id}, is in no checkpoint (size {state.verified}) "
                    f"since {iso_second(since)}: a receipt was promised and not kept"
                )
                facts: dict[str, Any] = {
                    "promised": {"ledger": f"{self._pinned.origin} {index}", "request_id": request_id}
                }
                facts["note"] = state.note
                self._desk.report(Finding(grade, "promise-late", text, request_id, facts))


def _promise(line: bytes) -> tuple[str, int, str] | None:
    """(origin, index, request id)."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    fields = {str(key).lower(): value for key, value in found.items() if isinstance(value, str)}
    ledger = next((fields[name] for name in _NAMES if name in fields), "")
    request_id = next((fields[name] for name in _IDS if name in fields), "")
    origin, _, index = ledger.rpartition(" ")
    if not origin or not request_id or not index.isascii() or not index.isdigit() or len(index) > 18:
        return None
    return origin, int(index), request_id


def _runs(indexes: list[int], most: int = 1000, apart: int = 100) -> Iterator[tuple[int, int]]:
    """Ranges that hold the indexes: near ones together, at most `most` long."""
    start = end = -1
    for index in indexes:
        if start >= 0 and (index - end >= apart or index - start >= most):
            yield start, end
            start = -1
        if start < 0:
            start = index
        end = index + 1
    if start >= 0:
        yield start, end
