"""What a campaign of faults found: one row per fault and operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Row:
    """`outcomes`: how often each was seen; `wrong`: what must not be, empty when all is well."""

    fault: str
    operation: str
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    note: str = ""

    def add(self, outcome: str, wrong: Iterable[str] = ()) -> None:
        self.outcomes[outcome] += 1
        self.wrong += [text for text in wrong if text not in self.wrong][:5]


@dataclass(slots=True)
class Report:
    """The rows of a run, by section."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def row(self, fault: str, operation: str) -> Row:
        """The row of a fault and an operation, made at first use."""
        for row in self.rows:
            if (row.fault, row.operation) == (fault, operation):
                return row
        self.rows.append(Row(fault, operation))
        return self.rows[-1]

    def check(self, fault: str, operation: str, outcome: str, *wrong: str) -> None:
        """One observation; empty texts are no faults."""
        self.row(fault, operation).add(outcome, [text for text in wrong if text])

    @property
    def wrong(self) -> list[str]:
        return [f"{row.fault} / {row.operation}: {text}" for row in self.rows for text in row.wrong]

    def document(self) -> dict[str, Any]:
        rows = [
            {"fault": r.fault, "operation": r.operation, "outcomes": dict(r.outcomes), "wrong": r.wrong, "note": r.note}
            for r in self.rows
        ]
        return {"rows": rows, "skipped": self.skipped, "wrong": self.wrong}

    def table(self) -> str:
        """Text for people."""
        lines = []
        for row in self.rows:
            seen = ", ".join(f"{name} ×{count}" for name, count in row.outcomes.most_common())
            lines.append(f"{'ok ' if not row.wrong else 'BAD'}  {row.fault:34} {row.operation:22} {seen}")
            lines += [f"       {text}" for text in row.wrong]
        return "\n".join([*lines, *(f"skipped: {text}" for text in self.skipped)])
