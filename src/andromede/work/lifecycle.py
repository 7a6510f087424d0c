"""Lifecycles persisted in rows: steps know the port of an engine and not the database; the runner knows the database
and not the meaning.

A resource's row holds the columns of COLUMNS. Its `state` is the one column that tells where it stands. States with
a step are working states, the others are at rest. A step is a function of the row's value that makes one call of an
engine, may be repeated at any time, and answers with `Next`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from andromede.db import Tx
from andromede.db.table import Table
from andromede.errors import Error
from andromede.work import lifecycle_store

COLUMNS = """
  state {text} NOT NULL,
  since_us {int} NOT NULL,
  due_us {int},
  holder {text} NOT NULL,
  lease_us {int} NOT NULL,
  tries {int} NOT NULL,
  signals {text} NOT NULL,
  fault {text} NOT NULL,
  request_id {text} NOT NULL"""
"""For a domain's migration: `CREATE TABLE volume (id {text} PRIMARY KEY, project_id {text} NOT NULL, ... , COLUMNS)`,
with an index on due_us. In the dataclass of the row the same names, best with the defaults of `Work`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The columns of COLUMNS as a base of row classes, with a new row's values. `since_us`: when it came into its
    state; `due_us`: when a worker is to look, None at rest; `signals`: wishes, separated by blanks; `fault`: why it
    is where it is, in the client's words; `request_id`: the request that wished the work."""

    state: str
    since_us: int
    due_us: int | None = None
    holder: str = ""
    lease_us: int = 0
    tries: int = 0
    signals: str = ""
    fault: str = ""
    request_id: str = ""


class Row(Protocol):
    """What the runner sees of a resource."""

    @property
    def id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def since_us(self) -> int: ...
    @property
    def tries(self) -> int: ...
    @property
    def signals(self) -> str: ...
    @property
    def request_id(self) -> str: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Next:
    """What a step found: the state that follows, which may be the same. `wake_in`: seconds until its step is to run,
    0 at once; ignored for states at rest. `fault`: why, for a state that gives up. `changes`: other columns of the
    row; `then`: more rows, in the same transaction."""

    state: str
    wake_in: float = 0.0
    fault: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[Tx], None] | None = None


Step = Callable[[R], Next]


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a working state may last, in seconds, and the state that gives up then. A state that never gives up, as
    one that takes away what nobody may keep, names itself: it is tried for ever, and told to the operator."""

    seconds: float
    state: str = "error"


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[R]):
    """The states of one kind of resource. `steps`: by working state. `moves`: the states that may follow each.
    `interrupts`: signal -> the working state that begins it, looked at before every step and at rest, except in the
    states that `moves` does not let go there. `ends`: states in which the row is removed. `undo` is called with a
    transaction when a state gives up by error or deadline, to free what the row claims in other tables."""

    kind: str
    table: Table[R]
    steps: Mapping[str, Step[R]]
    moves: Mapping[str, frozenset[str]]
    deadlines: Mapping[str, Deadline]
    interrupts: Mapping[str, str] = field(default_factory=dict)
    ends: frozenset[str] = frozenset({"deleted"})
    otherwise: Deadline = Deadline(3600.0)
    most_tries: int = 5
    undo: Callable[[Tx, R, str], None] | None = None

    def deadline(self, state: str) -> Deadline:
        return self.deadlines.get(state, self.otherwise)


def begin(
    tx: Tx, table: str, row_id: str, moves: tuple[str | tuple[str, ...], str], now_us: int, **changes: Any
) -> bool:
    """Move a row that is in one of the states `moves[0]` (at rest) to the working state `moves[1]`; whether it was.
    Give `request_id` among the changes: it is what events and faults of the work refer to."""
    sources = (moves[0],) if isinstance(moves[0], str) else moves[0]
    return lifecycle_store.begin(tx, table, row_id, (sources, moves[1]), now_us, changes)


def signal(tx: Tx, table: str, row_id: str, word: str, now_us: int) -> bool:
    """Leave a wish for the worker, whatever the row's state; whether the row is there."""
    return lifecycle_store.signal(tx, table, row_id, word, now_us)


def public(error: Exception) -> str:
    """An error of an engine in words for the client."""
    return error.public if isinstance(error, Error) else "an engine failed; the operator's log tells more"
