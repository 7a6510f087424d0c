"""What a check found, in plain words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from andromede.ledger.note import COSIGNATURE, ED25519, MLDSA44, Signature

SHOWN = 4000
KIND_NAMES = {ED25519: "Ed25519", COSIGNATURE: "Ed25519 cosignature", MLDSA44: "ML-DSA-44"}


class Unreadable(ValueError):
    """The input is missing, too large, or not of the form that the command reads (exit status 2)."""


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one input: `proven`, the reason or result in one line, more lines, and the facts for JSON.
    `word` stands in place of PROVEN where nothing is claimed."""

    subject: str
    proven: bool
    verdict: str
    lines: tuple[str, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)
    word: str = ""

    def json(self) -> dict[str, object]:
        return {"file": self.subject, "proven": self.proven, "verdict": self.verdict, **self.facts}

    def text(self) -> str:
        word = self.word or ("PROVEN" if self.proven else "NOT PROVEN")
        head = f"{word}  {plain(self.subject)}: {plain(self.verdict)}"
        return "\n".join([head, *("  " + plain(line) for line in self.lines)])


def plain(text: str, limit: int = SHOWN) -> str:
    """The text without anything that a terminal would act on; what is cut off is said."""
    short = text[:limit]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
    return shown if len(text) <= limit else f"{shown}... ({len(text) - limit} more characters)"


def instant(seconds: int) -> str:
    """A time in whole seconds since 1970 as ISO 8601 UTC; numbers outside the calendar are shown as they are."""
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: UP017 (Python 3.9)
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"


def signature_fact(signature: Signature) -> dict[str, object]:
    """One verified signature for JSON."""
    key = signature.verifier
    return {"name": key.name, "kind": KIND_NAMES[key.kind], "key_id": key.id.hex(), "time": signature.time}
