"""Every log of an installation, for its auditors: the numbering of its sources must be whole over all logs together.

What one tenant cannot see shows here: an event that was dropped before it was logged leaves its number missing in
every log. Monthly roots in the installation's log are compared with the own copies.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from andromede.clock import US, Clock, iso_second
from andromede.errors import Fatal
from andromede.sovereignty.monitor.evidence import CONTRADICTION, STALE, Cabinet, Finding, b64, write_durable
from andromede.sovereignty.monitor.monitor import Monitor, Options, Round
from andromede.sovereignty.monitor.site import LogSite, Shown, listed_logs
from andromede.sovereignty.monitor.sources import SETTLED_SECONDS, Spans, read_event
from andromede.sovereignty.monitor.state import Folder
from andromede.sovereignty.monitor.wire import Absent, Garbled, Silent, Wire

ROOT_ACTION = "ledger.root"
MOST_GAPS = 100
"""How many gaps of one source are named in one round."""


@dataclass(slots=True)
class Memory:
    """`spans`: numbers seen of each source. `open`: gap -> when it was first seen. `roots`: origin -> [size, root]
    that the installation's log names. `blank`: origin -> how many entries had no content to number. `unborn`: origin ->
    when it was first listed without an entry in its tree."""

    spans: dict[str, list[list[int]]] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    roots: dict[str, list[list[Any]]] = field(default_factory=dict)
    blank: dict[str, int] = field(default_factory=dict)
    origins: list[str] = field(default_factory=list)
    unborn: dict[str, int] = field(default_factory=dict)


class Whole:
    """Follows every log. Use as a context manager, like a `Monitor`."""

    def __init__(self, wire: Wire, folder: Path, clock: Clock, options: Options) -> None:
        self._wire = wire
        self._folder = folder
        self._clock = clock
        self._options = options
        self._path = folder / "whole.json"
        self._lock = Folder(folder)
        try:
            self._memory = self._load()
        except BaseException:
            self._lock.close()
            raise
        self._spans = Spans(self._memory.spans)
        self._cabinet = Cabinet(folder / "evidence", clock, {"server": wire.site.url})

    def __enter__(self) -> Whole:
        return self

    def __exit__(self, *failure: object) -> None:
        self._lock.close()

    def round(self) -> Round:
        """One round over all logs, then over what they hold together."""
        findings: list[Finding] = []
        entries = 0
        try:
            listed = listed_logs(self._wire)
        except (Silent, Absent, Garbled) as error:
            findings.append(Finding(STALE, "silent", f"the list of logs cannot be read: {error}", self._wire.site.url))
            listed = {}
        known = set(self._memory.origins)
        if listed:
            for origin in sorted((known | set(self._memory.roots)) - set(listed)):
                text = f"the log {origin} was followed or named in a monthly root, and is not listed any more"
                findings.append(Finding(CONTRADICTION, "log-gone", text, origin, {"origin": origin}))
        self._memory.origins = sorted(known | set(listed))
        for origin, listed_size in listed.items():
            if self._unborn(origin, listed_size):
                continue
            found, size = self._log(origin)
            findings += found
            entries += size
        if listed:
            findings += self._gaps()
        self._save()
        kept = [self._cabinet.keep(finding) if not finding.file else finding for finding in findings]
        return Round(tuple(kept), self._facts(len(listed), entries))

    def _unborn(self, origin: str, size: int) -> bool:
        """Whether a log may still be without a checkpoint: its first entries are less than a minute old."""
        if size:
            self._memory.unborn.pop(origin, None)
            return False
        since = self._memory.unborn.setdefault(origin, self._clock.now_us())
        return self._clock.now_us() - since < SETTLED_SECONDS * US

    def _log(self, origin: str) -> tuple[list[Finding], int]:
        site = LogSite(self._wire, origin.rpartition("/")[2])
        folder = self._folder / "logs" / origin.replace("/", "-")

        def taken(shown: Sequence[Shown]) -> None:
            self._take(origin, shown)

        with Monitor(site, folder, self._clock, replace(self._options, taken=taken, policy=None)) as monitor:
            found = monitor.round()
            findings = [
                replace(one, about=f"{origin} {one.about}".strip(), text=f"{origin}: {one.text}")
                for one in found.findings
            ]
            if monitor.state.origin not in ("", origin):
                text = f"the log listed as {origin} calls itself {monitor.state.origin}"
                findings.append(Finding(CONTRADICTION, "origin", text, origin, {"note": monitor.state.note}))
            for size, root in self._memory.roots.get(origin, []):
                own = monitor.root(size)
                if own is not None and b64(own) != root:
                    text = f"{origin}: the monthly root of size {size} is not the one that its entries lead to"
                    facts = {"monthly_root": root, "proved_root": b64(own), "size": size, "note": monitor.state.note}
                    findings.append(Finding(CONTRADICTION, "monthly-root", text, f"{origin} {size}", facts))
            return findings, monitor.state.verified

    def _take(self, origin: str, shown: Sequence[Shown]) -> None:
        """Enter proved entries, durable before the log's own state counts them as seen."""
        for one in shown:
            fields = read_event(one.event) if one.salt is not None else None
            if fields is None:
                self._memory.blank[origin] = self._memory.blank.get(origin, 0) + 1
                continue
            self._spans.add(fields["source"], fields["seq"])
            if fields["action"] == ROOT_ACTION and "/i/" in origin and isinstance(fields.get("detail"), dict):
                self._note_roots(fields["detail"])
        self._save()

    def _note_roots(self, detail: dict[str, Any]) -> None:
        for origin, value in detail.items():
            size, _, root = str(value).partition(" ")
            if "/" in origin and size.isascii() and size.isdigit() and len(size) < 19:
                pair = [int(size), root]
                rows = self._memory.roots.setdefault(origin, [])
                if pair not in rows:
                    rows.append(pair)

    def _gaps(self) -> list[Finding]:
        now, seen = self._clock.now_us(), {}
        findings = []
        blank = sum(self._memory.blank.values())
        for source in sorted(self._memory.spans):
            for low, high in list(self._spans.gaps(source))[:MOST_GAPS]:
                key = f"{source} {low} {high}"
                seen[key] = since = self._memory.open.get(key, now)
                if now - since < SETTLED_SECONDS * US:
                    continue
                text = f"source {source}: events {low} to {high} are in no log (missed since {iso_second(since)})"
                if blank:
                    text += f"; up to {blank} entries without content may be among them"
                facts = {"source": source, "first": low, "last": high, "entries_without_content": blank}
                findings.append(Finding(STALE if blank else CONTRADICTION, "number-missing", text, key, facts))
        self._memory.open = seen
        return findings

    def _facts(self, logs: int, entries: int) -> dict[str, Any]:
        return {
            "origin": f"{logs} logs",
            "size": entries,
            "server": self._wire.site.url,
            "at": iso_second(self._clock.now_us()),
            "sources": {source: spans[-1][1] for source, spans in sorted(self._memory.spans.items())},
            "cosigned": {},
        }

    def _load(self) -> Memory:
        try:
            return Memory(**json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return Memory()
        except (OSError, ValueError, TypeError) as error:
            raise Fatal(f"{self._path} cannot be used ({error}); begin anew with another --state", "state") from error

    def _save(self) -> None:
        write_durable(self._path, json.dumps(asdict(self._memory)).encode())
