"""What a command says, to people or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from andromede.clock import Clock, SystemClock


class Output:
    """Text on standard output, or one JSON document when `as_json`; progress and warnings on standard error."""

    def __init__(self, as_json: bool, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self.out = out or sys.stdout
        self.err = err or sys.stderr

    def say(self, text: str = "") -> None:
        """A line for people; nothing with JSON."""
        if not self.as_json:
            print(text, file=self.out, flush=True)

    def note(self, text: str) -> None:
        """A line on standard error, in both modes."""
        print(text, file=self.err, flush=True)

    def result(self, document: Any) -> None:
        """The JSON document; nothing in text mode."""
        if self.as_json:
            print(json.dumps(document, indent=1, ensure_ascii=False, default=str), file=self.out, flush=True)

    def line(self, document: Any) -> None:
        """One JSON line, for streams."""
        print(json.dumps(document, ensure_ascii=False, default=str), file=self.out, flush=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns wide enough for their content; nothing with JSON."""
        cells = [[str(value) for value in row] for row in rows]
        widths = [max([len(head), *(len(row[n]) for row in cells)]) for n, head in enumerate(heads)]
        for row in [list(heads), *cells]:
            self.say("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())

    def progress(self, label: str, total: int | None = None, clock: Clock | None = None) -> Progress:
        """A progress line on a terminal, silent elsewhere."""
        return Progress(label, total, self.err, clock or SystemClock())


class Progress:
    """`label 12 of 340 (3 %)`, rewritten at most five times a second. Used as a context manager."""

    def __init__(self, label: str, total: int | None, stream: TextIO, clock: Clock) -> None:
        self._label = label
        self.total = total
        self._stream = stream
        self._clock = clock
        self._shown = -1.0
        self._live = stream.isatty()
        self.done = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._live and self._shown >= 0:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def step(self, count: int = 1, label: str | None = None) -> None:
        """Count and show."""
        self.done += count
        self._label = label or self._label
        now = self._clock.monotonic()
        if not self._live or now - self._shown < 0.2:
            return
        self._shown = now
        share = f" of {self.total} ({100 * self.done // self.total} %)" if self.total else ""
        self._stream.write(f"\r\x1b[K{self._label} {self.done}{share}")
        self._stream.flush()


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def span(seconds: float) -> str:
    """A duration in words: `3 d 4 h`, `12 min`, `8 s`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
