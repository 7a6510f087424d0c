"""Resources of the API as data: their attributes, who may set and see them, and how lists are filtered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from andromede.db.table import Table
from andromede.network import kinds
from andromede.network.faults import bad, forbidden, missing
from andromede.network.kinds import Kind
from andromede.web.access import is_cloud_admin
from andromede.web.actor import Actor


class _Word:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


REQUIRED, NEVER = _Word("required"), _Word("never")
"""Instead of a default: the client must give it; it cannot be given at creation."""


@dataclass(frozen=True, slots=True)
class Who:
    """For whom something is done. `admin` sees and may do everything; `project_id` is empty for a scope without a
    project."""

    project_id: str
    admin: bool = False

    @classmethod
    def of(cls, actor: Actor) -> Who:
        return cls(actor.project_id or "", is_cloud_admin(actor))

    def owns(self, row: Any) -> bool:
        return self.admin or (bool(self.project_id) and row.project_id == self.project_id)


@dataclass(frozen=True, slots=True)
class Attr:
    """An attribute. `default` at creation; `put`: may be changed; `admin`: only administrators `set` or even `see`
    it; `column`: the field of the row, where it is not called like the attribute; `match`: how lists filter by it
    (text, bool, int; empty: not by its column)."""

    name: str
    kind: Kind = kinds.anything
    default: Any = NEVER
    put: bool = False
    admin: str = ""
    column: str = ""
    match: str = "text"

    @property
    def field(self) -> str:
        return self.column or self.name


Filter = Callable[[Sequence[str], Who], tuple[str, list[Any]]]
"""(values, who) -> a condition over the table `t` and its parameters."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A resource. `kind` as in error types (SecurityGroup); `row`: what its rows are; `filters` beyond those of
    columns; `seen` is the condition under which somebody who is no administrator sees a row; `quota` its name among
    quotas; `path` the last part of its path where that is not its plural. What is put together when it is shown is in
    `views`."""

    singular: str
    plural: str
    kind: str
    table: Table[Any]
    row: type[Any]
    attrs: tuple[Attr, ...]
    seen: Callable[[Who], tuple[str, list[Any]]]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    quota: str = ""
    path: str = ""
    taggable: bool = True

    @property
    def url(self) -> str:
        """The last part of the resource's path."""
        return self.path or self.plural.replace("_", "-")

    def attr(self, name: str) -> Attr | None:
        return next((attr for attr in self.attrs if attr.name == name), None)

    def lost(self, object_id: str) -> NoReturn:
        """404."""
        missing(self.kind, object_id)


STANDARD = (
    Attr("id"),
    Attr("project_id", kinds.text(64), ""),
    Attr("name", kinds.NAME, "", put=True),
    Attr("description", kinds.TEXT, "", put=True),
    Attr("revision_number", column="revision", match="int"),
)
"""What every resource has, beside its instants."""
NAMELESS = tuple(attr for attr in STANDARD if attr.name != "name")


def _members(shape: Shape, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        bad(f"Body contains invalid data: {shape.singular} must be an object")
    given = dict(body)
    if "tenant_id" in given:
        tenant = given.pop("tenant_id")
        if given.setdefault("project_id", tenant) != tenant:
            bad("'project_id' and 'tenant_id' do not match")
    known = {attr.name for attr in shape.attrs}
    if unknown := sorted(set(given) - known):
        bad(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    return given


def created(shape: Shape, body: Any, who: Who) -> dict[str, Any]:
    """The values of a new object by attribute name, defaults filled in. Raises `Invalid` and `Denied`."""
    given = _members(shape, body)
    values: dict[str, Any] = {}
    for attr in shape.attrs:
        if attr.name not in given:
            if attr.default is REQUIRED:
                bad(f"Failed to parse request. Required attribute '{attr.name}' not specified")
            if attr.default is not NEVER:
                values[attr.name] = attr.default
            continue
        if attr.default is NEVER:
            bad(f"Attribute '{attr.name}' not allowed in POST")
        value = attr.kind(attr.name, given[attr.name])
        if attr.admin and not who.admin and value != attr.default:
            forbidden(f"create_{shape.singular}:{attr.name}")
        values[attr.name] = value
    owner = values.get("project_id") or who.project_id
    if not who.admin and owner != who.project_id:
        forbidden(f"create_{shape.singular}")
    if not owner:
        bad("this request needs a token of a project, or a project_id in its body")
    return values | {"project_id": owner}


def changed(shape: Shape, body: Any, who: Who) -> dict[str, Any]:
    """The values of a change by attribute name."""
    given = _members(shape, body)
    values: dict[str, Any] = {}
    for name, raw in given.items():
        attr = shape.attr(name)
        assert attr is not None
        if not attr.put:
            bad(f"Cannot update read-only attribute {name}")
        if attr.admin and not who.admin:
            forbidden(f"update_{shape.singular}:{name}")
        values[name] = attr.kind(name, raw)
    return values


def fields(shape: Shape, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are fields of the row, by field."""
    columns = set(shape.table.columns)
    found = {(attr.field if (attr := shape.attr(name)) else name): value for name, value in values.items()}
    return {name: value for name, value in found.items() if name in columns}


def build(shape: Shape, columns: Mapping[str, Any]) -> Any:
    """A row from all its fields."""
    return shape.row(**columns)
