"""Rows and frozen dataclasses: one mapper for the plain tables, so that each store holds only its own queries."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, get_type_hints

from andromede.db.base import Row, Tx

T = TypeVar("T")


class Reader(Protocol):
    """A transaction, or the database itself for single statements."""

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]: ...
    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Like:
    """A comparison by pattern: `contains`, `startswith` or `endswith`, with `fold` regardless of case."""

    how: str
    text: str
    fold: bool = False

    def sql(self, column: str) -> tuple[str, str]:
        """(condition, parameter)"""
        left = column
        text = self.text
        for sign in ("\\", "%", "_"):
            text = text.replace(sign, "\\" + sign)
        if self.fold:
            left, text = f"lower({column})", text.lower()
        pattern = {"contains": f"%{text}%", "startswith": f"{text}%", "endswith": f"%{text}"}[self.how]
        return f"{left} LIKE ? ESCAPE '\\'", pattern


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """The column differs from the value."""

    value: str


Where = Mapping[str, Any]
PART = 5000


def conditions(where: Where) -> tuple[str, list[Any]]:
    """(condition, parameters): equality, NULL for None, IN for lists, patterns for `Like`."""
    parts: list[str] = []
    params: list[Any] = []
    for column, value in where.items():
        if value is None:
            parts.append(f"{column} IS NULL")
        elif isinstance(value, Like):
            text, pattern = value.sql(column)
            parts.append(text)
            params.append(pattern)
        elif isinstance(value, Not):
            parts.append(f"{column} <> ?")
            params.append(value.value)
        elif isinstance(value, (list, tuple, set, frozenset)):
            items = list(value)
            parts.append(f"{column} IN ({', '.join('?' * len(items))})" if items else "1 = 0")
            params += items
        else:
            parts.append(f"{column} = ?")
            params.append(int(value) if isinstance(value, bool) else value)
    return " AND ".join(parts) or "1 = 1", params


class Table(Generic[T]):
    """A table whose columns are the fields of a dataclass: bool as 0/1, dict and list as JSON text."""

    def __init__(self, name: str, kind: type[T], order: str = "id") -> None:
        self.name = name
        self._kind = kind
        self._order = order
        hints = get_type_hints(kind)
        self.columns = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
        self._bools = {c for c in self.columns if hints[c] is bool}
        self._json = {c for c in self.columns if "dict[" in str(hints[c]) or "list[" in str(hints[c])}
        self._list = ", ".join(self.columns)
        plain = self._bools | self._json
        self._plain = [(n, c) for n, c in enumerate(self.columns) if c in plain]
        self._named = any(item.kw_only for item in dataclasses.fields(kind))  # type: ignore[arg-type]

    def encode(self, column: str, value: Any) -> Any:
        if value is None:
            return None
        if column in self._bools:
            return int(value)
        return json.dumps(value) if column in self._json else value

    def decode(self, row: Row) -> T:
        """The value of a row that holds `columns` in order."""
        if not self._plain:
            return self._made(row)
        values = list(row)
        for at, column in self._plain:
            if column in self._bools:
                values[at] = bool(values[at])
            elif values[at] is not None:
                values[at] = json.loads(values[at])
        return self._made(values)

    def _made(self, values: Sequence[Any]) -> T:
        if self._named:
            return self._kind(**dict(zip(self.columns, values, strict=True)))
        return self._kind(*values)

    def _key(self, value: T) -> tuple[str, ...]:
        return tuple(str(getattr(value, column.split()[0])) for column in self._order.split(", "))

    def find(self, tx: Reader, **where: Any) -> T | None:
        """The first row that fits."""
        text, params = conditions(where)
        row = tx.one(f"SELECT {self._list} FROM {self.name} WHERE {text} ORDER BY {self._order} LIMIT 1", params)
        return None if row is None else self.decode(row)

    def select(self, tx: Reader, where: Where | None = None) -> list[T]:
        """Every row that fits, in the table's order. A long list of values is asked for in parts, since
        databases bound the number of parameters."""
        for column, value in (where or {}).items():
            if isinstance(value, (list, tuple, set, frozenset)) and len(value) > PART:
                items = list(value)
                parts = [items[at : at + PART] for at in range(0, len(items), PART)]
                found = [row for part in parts for row in self.select(tx, {**(where or {}), column: part})]
                return sorted(found, key=self._key)
        text, params = conditions(where or {})
        rows = tx.all(f"SELECT {self._list} FROM {self.name} WHERE {text} ORDER BY {self._order}", params)
        return [self.decode(row) for row in rows]

    def query(self, tx: Reader, tail: str, params: Sequence[Any]) -> list[T]:
        """Rows by a store's own joins and conditions; the table is called `t`."""
        columns = ", ".join("t." + column for column in self.columns)
        return [self.decode(row) for row in tx.all(f"SELECT {columns} FROM {self.name} t {tail}", params)]

    def insert(self, tx: Tx, value: T) -> T:
        """Add a row; the value again."""
        params = [self.encode(column, getattr(value, column)) for column in self.columns]
        tx.run(f"INSERT INTO {self.name} ({self._list}) VALUES ({', '.join('?' * len(params))})", params)
        return value

    def update(self, tx: Tx, where: Where, **changes: Any) -> int:
        """Change columns; the number of rows touched."""
        if not changes:
            return 0
        text, params = conditions(where)
        sets = ", ".join(f"{column} = ?" for column in changes)
        values = [self.encode(column, value) for column, value in changes.items()]
        return tx.run(f"UPDATE {self.name} SET {sets} WHERE {text}", [*values, *params])

    def remove(self, tx: Tx, **where: Any) -> int:
        """Delete; the number of rows."""
        text, params = conditions(where)
        return tx.run(f"DELETE FROM {self.name} WHERE {text}", params)


def names(rows: Iterable[Row]) -> list[str]:
    """The first column of each row."""
    return [str(row[0]) for row in rows]
