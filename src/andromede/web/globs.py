"""Path patterns of access rules, matched in time linear in pattern times path: tenants write these patterns,
and a backtracking matcher would let them stop a process.

`*` stands for any characters but the slash, `**` for any at all, `{name}` for one segment or part of one that
is not empty (keystonemiddleware, "access rules").
"""

from __future__ import annotations

import re
from functools import lru_cache

LITERAL, ONE, MANY, ALL = range(4)
_PIECES = re.compile(r"\*\*|\*|\{[^{}/]*\}|.", re.DOTALL)
LONGEST_PATH = 4096
Step = tuple[int, str]


@lru_cache(maxsize=4096)
def _steps(pattern: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for piece in _PIECES.findall(pattern):
        if piece == "**":
            steps.append((ALL, ""))
        elif piece == "*":
            steps.append((MANY, ""))
        elif len(piece) > 1:
            steps += [(ONE, ""), (MANY, "")]
        else:
            steps.append((LITERAL, piece))
    return tuple(steps)


def _skip(steps: tuple[Step, ...], at: set[int]) -> set[int]:
    """The positions with those behind wildcards that may stand for nothing."""
    for position in sorted(at):
        end = position
        while end < len(steps) and steps[end][0] in (MANY, ALL):
            end += 1
            at.add(end)
    return at


def fits(pattern: str, path: str) -> bool:
    """Whether the whole path fits; a path of more than `LONGEST_PATH` characters never does."""
    if len(path) > LONGEST_PATH:
        return False
    steps = _steps(pattern)
    at = _skip(steps, {0})
    for character in path:
        ahead: set[int] = set()
        for position in at:
            if position == len(steps):
                continue
            kind, literal = steps[position]
            if kind == LITERAL:
                if character == literal:
                    ahead.add(position + 1)
            elif kind == ALL:
                ahead.add(position)
            elif character != "/":
                ahead.add(position + 1 if kind == ONE else position)
        if not ahead:
            return False
        at = _skip(steps, ahead)
    return len(steps) in at
