"""What the monitor found, and the files that let others check it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from andromede.clock import Clock, iso_micro
from andromede.ledger.contradiction import EVIDENCE

NOTE, STALE, CONTRADICTION = "note", "stale", "contradiction"
"""Grades. A note is worth knowing; stale: late, silent, unwitnessed or unusual; contradiction: a promise broken."""
FINE_CODE, CONTRADICTION_CODE, LOCAL_CODE, STALE_CODE = 0, 1, 2, 3
MOST_KEPT = 1000
"""Evidence files of what was merely served; pairs of signed notes are always kept."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind` is a short stable word, `about` what it concerns; `facts` go into the evidence file. What a server said
    reaches no terminal unprintable."""

    grade: str
    kind: str
    text: str
    about: str = ""
    facts: Mapping[str, Any] | None = None
    file: str = ""

    def __post_init__(self) -> None:
        for name in ("text", "about"):
            value = getattr(self, name)
            object.__setattr__(self, name, "".join(c if c.isprintable() else "\ufffd" for c in value)[:2000])

    @property
    def key(self) -> str:
        """The same as long as the same thing is found again."""
        return f"{self.grade} {self.kind} {self.about}"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        found = {"grade": self.grade, "kind": self.kind, "about": self.about, "text": self.text, "evidence": self.file}
        return {key: value for key, value in found.items() if value}


def code(findings: Sequence[Finding]) -> int:
    """The exit code of a round."""
    grades = {finding.grade for finding in findings}
    if CONTRADICTION in grades:
        return CONTRADICTION_CODE
    return STALE_CODE if STALE in grades else FINE_CODE


def b64(raw: bytes) -> str:
    """Bytes in a JSON document."""
    return base64.b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A signed note as it was received: from whom, and when by the monitor's clock (microseconds)."""

    source: str
    seen: int
    note: str

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {"from": self.source, "seen": self.seen, "seen_utc": iso_micro(self.seen), "note": self.note}


def pair(first: Exhibit, second: Exhibit, nodes: Sequence[bytes] = ()) -> dict[str, Any]:
    """Facts about two notes, verbatim and in the order seen; `nodes`: a full consistency proof from the larger tree.
    The form that `andromede-verify contradiction` reads."""
    return {"notes": [first.document(), second.document()], "proof": [b64(node) for node in nodes]}


def single(exhibit: Exhibit) -> dict[str, Any]:
    """Facts about one note."""
    return {"served": exhibit.document()}


@dataclass(slots=True)
class Cabinet:
    """The folder of evidence files. Nothing in it is ever overwritten or removed."""

    folder: Path
    clock: Clock
    log: dict[str, Any] = field(default_factory=dict)

    def keep(self, finding: Finding) -> Finding:
        """Write the evidence of a finding, durable and for its owner only; the finding with the file's name.
        Evidence that is there already is not written again."""
        if finding.facts is None:
            return finding
        now = self.clock.now_us()
        facts = {"kind": finding.kind, "about": finding.about, "text": finding.text, **self.log, **finding.facts}
        name = f"{finding.kind}-{_digest(facts)}.json"
        path = self.folder / name
        if not path.exists():
            if not facts.get("notes") and len(list(self.folder.glob("*.json"))) >= MOST_KEPT:
                return replace(finding, text=f"{finding.text} (the folder of evidence is full)")
            document = {
                "format": EVIDENCE,
                "found": now,
                "found_utc": iso_micro(now),
                **facts,
                "check": _check(facts, path),
            }
            write_durable(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
        return replace(finding, file=str(path))


def _digest(facts: Mapping[str, Any]) -> str:
    """Names the content; the instants at which notes were seen do not count."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(inner) for key, inner in value.items() if key not in ("seen", "seen_utc")}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    return hashlib.sha256(json.dumps(plain(facts), sort_keys=True).encode("utf-8", "replace")).hexdigest()[:16]


def _check(facts: Mapping[str, Any], path: Path) -> list[str]:
    if facts.get("notes"):
        return [
            f"andromede-verify contradiction {path.name} --policy POLICY",
            "Both notes are verbatim: any tool for C2SP signed notes verifies them with the keys given here. Compare "
            "the keys with a copy that did not come from the operator.",
        ]
    return ["This is the monitor's own record of what was served; the checkpoint in it is signed by the log."]


def write_durable(path: Path, data: bytes) -> None:
    """A new file, whole or not at all, mode 0600, on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
