"""Numbering of events per source, and their silence.

A source (one process of the cloud) numbers its events over all tenants. One tenant's log therefore holds some of
its numbers: from it alone one can tell that no number occurs twice, not that none is missing. Who sees every log
(an auditor of the installation) can: together they hold every number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from andromede.clock import US, iso_milli
from andromede.sovereignty.monitor.evidence import CONTRADICTION, STALE, Finding, b64

REMEMBERED = 1000
"""Newest numbers of a source that are remembered, to see one given twice."""
SILENCE_SECONDS = 180
"""Three heartbeats."""
SETTLED_SECONDS = 60
"""A missing number counts once a later one of its source is this old: its log may be a checkpoint behind."""
MOST_SOURCES, MOST_SPANS, LONGEST_NAME = 1000, 10_000, 200


def read_event(event: bytes) -> dict[str, Any] | None:
    """The fields of an event, None when it is not one (docs/ledger-events.md)."""
    try:
        found = json.loads(event.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    texts = all(isinstance(found.get(key), str) for key in ("source", "action", "request_id"))
    numbers = all(type(found.get(key)) is int and 0 <= found[key] < 1 << 63 for key in ("seq", "ts"))
    return found if texts and numbers and len(found["source"]) <= LONGEST_NAME else None


class Numbering:
    """What one log tells about its sources. `kept`: source -> `seen` ([number, index] pairs), `mark` and `marked`
    (the last word of the source about itself, and when)."""

    def __init__(self, kept: dict[str, dict[str, Any]]) -> None:
        self.kept = kept
        self._seen = {source: dict(map(tuple, known["seen"])) for source, known in kept.items()}

    def store(self) -> None:
        """Bring `kept` up to date."""
        for source, seen in self._seen.items():
            self.kept[source]["seen"] = [list(pair) for pair in seen.items()]

    def see(self, index: int, event: bytes) -> list[Finding]:
        """Enter one event."""
        fields = read_event(event)
        if fields is None:
            facts = {"index": index, "event": b64(event)}
            return [Finding(STALE, "event-form", f"entry {index} is not an event of a known form", str(index), facts)]
        source, seq = fields["source"], fields["seq"]
        if source not in self.kept:
            if len(self.kept) >= MOST_SOURCES:
                return [Finding(STALE, "sources", f"more than {MOST_SOURCES} sources", "sources")]
            self.kept[source] = {"seen": [], "mark": "", "marked": 0}
            self._seen[source] = {}
        known, seen = self.kept[source], self._seen[source]
        found, earlier = [], seen.get(seq)
        if earlier is not None and earlier != index:
            text = f"source {source} gave number {seq} twice: to entries {earlier} and {index}"
            facts = {"index": index, "event": b64(event), "earlier": earlier}
            found.append(Finding(CONTRADICTION, "number-twice", text, f"{source} {seq}", facts))
        seen[seq] = index
        if len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        kind, _, word = fields["action"].partition(".")
        if kind == "source" and fields["ts"] >= known["marked"]:
            known["mark"], known["marked"] = word, fields["ts"]
        return found

    def silence(self, now_us: int, seconds: int = SILENCE_SECONDS) -> list[Finding]:
        """Sources whose heartbeat stopped without a `source.stop`: the installation's log alone holds these."""
        late = [
            (source, known["marked"])
            for source, known in sorted(self.kept.items())
            if known["mark"] not in ("", "stop") and now_us - known["marked"] > seconds * US
        ]
        return [
            Finding(STALE, "source-silent", f"source {source} has given no sign since {iso_milli(when)}", source)
            for source, when in late
        ]


class Spans:
    """Numbers seen of each source, as closed intervals: whole numbering over every log of an installation.
    `kept` maps a source to its sorted [low, high] pairs."""

    def __init__(self, kept: dict[str, list[list[int]]]) -> None:
        self.kept = kept

    def add(self, source: str, seq: int) -> bool:
        """Enter a number; whether it is new."""
        spans = self.kept.setdefault(source, []) if len(self.kept) < MOST_SOURCES else self.kept.get(source)
        if spans is None or len(spans) > MOST_SPANS:
            return False  # torn beyond counting: the gaps that are known are enough
        at = len(spans)
        while at and spans[at - 1][0] > seq:
            at -= 1
        if at and spans[at - 1][1] >= seq:
            return False
        joins_left = at > 0 and spans[at - 1][1] == seq - 1
        joins_right = at < len(spans) and spans[at][0] == seq + 1
        if joins_left and joins_right:
            spans[at - 1][1] = spans[at][1]
            del spans[at]
        elif joins_left:
            spans[at - 1][1] = seq
        elif joins_right:
            spans[at][0] = seq
        else:
            spans.insert(at, [seq, seq])
        return True

    def gaps(self, source: str) -> Iterable[tuple[int, int]]:
        """Missing numbers as (first, last); a source begins with 1."""
        spans = [[0, 0], *self.kept.get(source, [])]
        for left, right in pairwise(spans):
            if right[0] > left[1] + 1:
                yield left[1] + 1, right[0] - 1
