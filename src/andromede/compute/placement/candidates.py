"""Which providers could serve a request: every combination within one tree of providers that has room and the traits.
Providers that share by aggregate are not combined with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from andromede.compute.capacity_model import Inventory, Provider
from andromede.compute.placement import store
from andromede.compute.placement.allocations import fits
from andromede.compute.placement.query import Asked, Group
from andromede.compute.tables import INVENTORIES, PROVIDERS
from andromede.db.table import Reader

MOST_TRIED = 100_000
"""Combinations that are looked at for one request."""
Placed = Mapping[str, Mapping[str, str]]
"""Group -> class -> provider; a group without resources has its provider under ""."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """`resources`: provider -> class -> amount; `mappings`: group -> its providers."""

    resources: dict[str, dict[str, int]]
    mappings: dict[str, list[str]]


class Picture:
    """Every provider with what it offers, what of it is taken, its traits and aggregates."""

    def __init__(self, db: Reader) -> None:
        rows = PROVIDERS.select(db)
        self.providers: dict[str, Provider] = {row.id: row for row in rows}
        self.used = store.used(db, list(self.providers))
        self._traits = store.traits(db, list(self.providers))
        self._aggregates = store.aggregates(db, list(self.providers))
        self.stock: dict[str, dict[str, Inventory]] = {row.id: {} for row in rows}
        for row in INVENTORIES.select(db):
            self.stock.setdefault(row.provider_id, {})[row.resource_class] = row
        self.trees: dict[str, list[str]] = {}
        for provider in rows:
            self.trees.setdefault(provider.root_id, []).append(provider.id)

    def traits(self, provider_id: str) -> set[str]:
        """The traits of one provider."""
        return self._traits.get(provider_id, set())

    def aggregates(self, provider_id: str) -> set[str]:
        """The aggregates of one provider and of its root, whose membership spans the tree."""
        root = self.providers[provider_id].root_id
        return self._aggregates.get(provider_id, set()) | self._aggregates.get(root, set())

    def has_room(self, provider_id: str, name: str, amount: int) -> bool:
        """Whether a provider has so much of a class left."""
        row = self.stock[provider_id].get(name)
        return row is not None and fits(row, self.used.get(provider_id, {}).get(name, 0), amount)

    def under(self, provider_id: str, above: str) -> bool:
        """Whether a provider is another or lies below it."""
        at: str | None = provider_id
        while at is not None and at != above:
            at = self.providers[at].parent_id if at in self.providers else None
        return at == above

    def suits(self, provider_id: str, group: Group) -> bool:
        """Whether one provider alone serves a whole group."""
        return (
            group.suits(self.traits(provider_id))
            and group.belongs(self.aggregates(provider_id))
            and all(self.has_room(provider_id, name, amount) for name, amount in group.resources.items())
        )


def find(picture: Picture, asked: Asked, nested: bool) -> list[Candidate]:
    """The candidates, at most `asked.limit`. Without `nested` (before 1.29) each provider stands alone."""
    trees = list(picture.trees.values()) if nested else [[each] for each in picture.providers]
    found: list[Candidate] = []
    tried = 0
    for tree in trees:
        if not _allowed(picture, tree, asked):
            continue
        groups = [asked.groups[suffix] for suffix in sorted(asked.groups)]
        for placed in _combined([list(_options(picture, tree, group)) for group in groups], groups):
            tried += 1
            candidate = _candidate(picture, asked, placed)
            if candidate is not None and candidate not in found:
                found.append(candidate)
            if len(found) >= asked.limit or tried >= MOST_TRIED:
                return found
    return found


def _allowed(picture: Picture, tree: list[str], asked: Asked) -> bool:
    root = picture.providers[tree[0]].root_id
    return asked.root.suits(picture.traits(root)) and all(
        group.in_tree is None or any(each == group.in_tree for each in picture.trees[root])
        for group in asked.groups.values()
    )


def _options(picture: Picture, tree: list[str], group: Group) -> Iterator[dict[str, str]]:
    """Ways to place one group: class -> provider."""
    if group.suffix or not group.resources:
        for each in tree:
            if picture.suits(each, group):
                yield dict.fromkeys(group.resources or [""], each)
        return
    names = sorted(group.resources)
    yield from _spread(picture, tree, group, names, {})


def _spread(
    picture: Picture, tree: list[str], group: Group, names: list[str], placed: dict[str, str]
) -> Iterator[dict[str, str]]:
    """The group without a suffix may lie on several providers, whose traits count together."""
    if not names:
        together = set().union(*(picture.traits(each) for each in placed.values()))
        if group.suits(together):
            yield dict(placed)
        return
    for each in tree:
        if picture.has_room(each, names[0], group.resources[names[0]]) and group.belongs(picture.aggregates(each)):
            yield from _spread(picture, tree, group, names[1:], {**placed, names[0]: each})


def _combined(options: list[list[dict[str, str]]], groups: list[Group]) -> Iterator[dict[str, dict[str, str]]]:
    if not options:
        yield {}
        return
    for chosen in options[0]:
        for rest in _combined(options[1:], groups[1:]):
            yield {groups[0].suffix: chosen, **rest}


def _candidate(picture: Picture, asked: Asked, placed: Placed) -> Candidate | None:
    """The candidate, if its parts go together."""
    mappings = {suffix: sorted(set(chosen.values())) for suffix, chosen in placed.items()}
    numbered = [mappings[suffix][0] for suffix in mappings if suffix]
    if asked.isolate and len(set(numbered)) < len(numbered):
        return None
    for wanted in asked.subtrees:
        inside = {each for suffix in wanted for each in mappings[suffix]}
        if not any(all(picture.under(each, above) for each in inside) for above in inside):
            return None
    resources: dict[str, dict[str, int]] = {}
    for suffix, chosen in placed.items():
        for name, amount in asked.groups[suffix].resources.items():
            books = resources.setdefault(chosen[name], {})
            books[name] = books.get(name, 0) + amount
    room = all(picture.has_room(each, name, n) for each, books in resources.items() for name, n in books.items())
    return Candidate(resources, mappings) if room else None
