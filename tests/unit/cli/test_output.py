"""Text for people, one document for programs, progress for terminals only."""

from __future__ import annotations

import io

from andromede.cli.output import Output
from tests.support.clock import FakeClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_mode_prints_the_document_only() -> None:
    out = io.StringIO()
    told = Output(True, out, io.StringIO())
    told.say("for people")
    told.table(("a",), [("b",)])
    told.result({"é": 1})
    assert out.getvalue() == '{\n "é": 1\n}\n'


def test_tables_line_up() -> None:
    out = io.StringIO()
    Output(False, out, io.StringIO()).table(("key", "n"), [("long name", 1), ("b", 22)])
    assert out.getvalue().splitlines() == ["key        n", "long name  1", "b          22"]


def test_progress_is_rewritten_on_a_terminal_at_a_bounded_rate(clock: FakeClock) -> None:
    err = Terminal()
    with Output(False, io.StringIO(), err).progress("copied", 10, clock) as progress:
        for _ in range(5):
            progress.step()
        clock.advance(1)
        progress.step()
    assert err.getvalue().count("\r") == 3
    assert "copied 6 of 10 (60 %)" in err.getvalue()


def test_progress_is_silent_elsewhere(clock: FakeClock) -> None:
    err = io.StringIO()
    with Output(False, io.StringIO(), err).progress("copied", None, clock) as progress:
        progress.step(3)
    assert err.getvalue() == ""
    assert progress.done == 3
