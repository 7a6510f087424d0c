"""Wildcards of policies: `*` any run, `?` any one character; never slower than length times length."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

STAR, ONE = "\0*", "\0?"
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
Lookup = Callable[[str], "str | None"]


class Missing(Exception):
    """A policy variable has no value in this request: the pattern matches nothing."""


def tokens(pattern: str, lookup: Lookup | None = None) -> tuple[str, ...]:
    """`pattern` as literals, STAR and ONE. `${*}`, `${?}` and `${$}` are literals; other variables are
    taken from `lookup` as literal text. Raises Missing for a variable without value or default."""
    found: list[str] = []
    at = 0
    for match in _VARIABLE.finditer(pattern) if lookup else ():
        found += _plain(pattern[at : match.start()])
        found.append(_value(match.group(1), lookup))
        at = match.end()
    found += _plain(pattern[at:])
    return tuple(found)


def _plain(text: str) -> list[str]:
    pieces = (STAR if p == "*" else ONE if p == "?" else p for p in re.split(r"([*?])", text))
    return [piece for piece in pieces if piece]


def _value(name: str, lookup: Lookup | None) -> str:
    if name in ("*", "?", "$"):
        return name
    name, _, default = name.partition(",")
    value = lookup(name.strip()) if lookup else None
    if value is None and default:
        return default.strip().strip("'")
    if value is None:
        raise Missing(name)
    return value


class Wildcard:
    """A compiled pattern. Literal runs between stars are searched leftmost first, which is exact for `*`."""

    __slots__ = ("_head", "_middle", "_plain", "_tail", "_tail_length")

    def __init__(self, parts: tuple[str, ...]) -> None:
        runs: list[list[str]] = [[]]
        for part in parts:
            if part == STAR:
                runs.append([])
            else:
                runs[-1].append(part)
        compiled_runs = [self._run(run) for run in runs]
        self._plain = len(runs) == 1
        self._head, self._tail = compiled_runs[0], compiled_runs[-1]
        self._tail_length = sum(1 if part == ONE else len(part) for part in runs[-1])
        self._middle = [run for run in compiled_runs[1:-1] if run.pattern]

    @staticmethod
    def _run(run: list[str]) -> re.Pattern[str]:
        # of fixed length, so a search is at most text length times run length
        return re.compile("".join("." if part == ONE else re.escape(part) for part in run), re.DOTALL)

    def matches(self, text: str) -> bool:
        """Does the whole of `text` match?"""
        if self._plain:
            return self._head.fullmatch(text) is not None
        head = self._head.match(text)
        if head is None:
            return False
        at = head.end()
        for run in self._middle:
            found = run.search(text, at)
            if found is None:
                return False
            at = found.end()
        start = len(text) - self._tail_length
        return start >= at and self._tail.fullmatch(text, start) is not None


@lru_cache(maxsize=8192)
def compiled(pattern: str) -> Wildcard:
    """The compiled form of a pattern without variables."""
    return Wildcard(tokens(pattern))


def matches(pattern: str, text: str, lookup: Lookup | None = None) -> bool:
    """Does `text` match `pattern`, its variables taken from `lookup`? A missing variable: no."""
    if lookup is None or "${" not in pattern:
        return compiled(pattern).matches(text)
    try:
        return Wildcard(tokens(pattern, lookup)).matches(text)
    except Missing:
        return False
