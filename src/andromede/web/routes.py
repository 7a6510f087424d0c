"""Routes are data: a domain declares them with a decorator, the program mounts them, tests walk them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from andromede.web.call import Call

S = TypeVar("S")
Handler = Callable[..., Any]
Version = tuple[int, int]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The facts about an object that access rules compare with the caller. `None` matches nobody."""

    domain_id: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    extra: Mapping[str, Any] | None = None


Resolver = Callable[[Any, Any], Target | None]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `action` names the access rule; `public` routes need no credential; `target`
    loads what the rule compares with the caller; `versions` is the inclusive range of microversions;
    `slow` operations (hashing of passwords) have threads of their own, so that others never queue behind them, and
    so have `stream` ones, whose handlers read the body from `call.stream` as it comes and may answer in pieces."""

    method: str
    path: str
    action: str
    handler: Handler
    doc: str
    body: Any = None
    status: int = 200
    public: bool = False
    target: Resolver | None = None
    versions: tuple[Version | None, Version | None] = (None, None)
    slow: bool = False
    stream: bool = False

    def names(self) -> list[str]:
        """The parameter names of the path, in order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def serves(self, version: Version | None) -> bool:
        """Whether the route exists at a microversion."""
        low, high = self.versions
        return version is None or ((low is None or version >= low) and (high is None or version <= high))


@dataclass(frozen=True, slots=True)
class Spec:
    """Optional parts of a declaration."""

    body: Any = None
    status: int = 200
    public: bool = False
    target: Resolver | None = None
    versions: tuple[Version | None, Version | None] = (None, None)
    slow: bool = False
    stream: bool = False


class _Node:
    __slots__ = ("any", "literals", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, list[Route]] = {}


class Routes(Generic[S]):
    """The table of one service. Literal segments win over parameters."""

    def __init__(self) -> None:
        self._root = _Node()
        self._all: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, method: str, path: str, needs: str, **optional: Any) -> Callable[[F], F]:
        """Declare a handler: `@routes.add("POST", "/v3/users", "identity:create_user", body=CreateUser, status=201)`.
        `optional` are the fields of `Spec`."""
        spec = Spec(**optional)

        def declare(handler: F) -> F:
            doc = (handler.__doc__ or "").strip()
            self.include(
                Route(
                    method,
                    path,
                    needs,
                    handler,
                    doc,
                    spec.body,
                    spec.status,
                    spec.public,
                    spec.target,
                    spec.versions,
                    spec.slow,
                    spec.stream,
                )
            )
            return handler

        return declare

    def include(self, route: Route) -> None:
        """Add a route to the table; the same method, path and version twice is a programming error."""
        node = self._root
        for part in _segments(route.path):
            if part.startswith("{"):
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.literals.setdefault(part, _Node())
        same = node.routes.setdefault(route.method, [])
        if any(other.versions == route.versions for other in same):
            raise ValueError(f"{route.method} {route.path} is declared twice")
        same.append(route)
        self._all.append(route)

    def merge(self, other: Routes[S]) -> None:
        """Add every route of another table."""
        for route in other:
            self.include(route)

    def find(self, segments: list[str]) -> tuple[dict[str, list[Route]], list[str]] | None:
        """(method -> routes, parameter values) of a path, or None when no route has it."""
        return self._walk(self._root, segments, 0, [])

    def _walk(
        self, node: _Node, segments: list[str], at: int, values: list[str]
    ) -> tuple[dict[str, list[Route]], list[str]] | None:
        if at == len(segments):
            return (node.routes, list(values)) if node.routes else None
        literal = node.literals.get(segments[at])
        if literal is not None and (found := self._walk(literal, segments, at + 1, values)):
            return found
        if node.any is not None and segments[at]:
            return self._walk(node.any, segments, at + 1, [*values, segments[at]])
        return None


def _segments(path: str) -> list[str]:
    return [part for part in path.strip("/").split("/") if part]


__all__ = ["Call", "Handler", "Route", "Routes", "Spec", "Target", "Version"]
