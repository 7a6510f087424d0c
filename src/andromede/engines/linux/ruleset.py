"""Rules as values: tables of sets, maps and chains, as nft(8) takes them, whole or as the way from one to another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

GENERATION, SUM = "gen_", "sum_"
"""Empty chains, whose names say which rules are in force (nft 1.0.6 leaves comments out of what it lists)."""
_PIECE = 500


@dataclass(frozen=True, slots=True)
class Set:
    """Elements under a name. `head`: `type ifname . ether_addr`; a map's type has a colon and its elements too.
    `ranges`: elements may be ranges. They may overlap where the type is one word, and not where it is several."""

    head: str
    elements: frozenset[str] = frozenset()
    ranges: bool = False

    @property
    def word(self) -> str:
        return "map" if ":" in self.head else "set"

    @property
    def flags(self) -> tuple[str, ...]:
        if not self.ranges:
            return ()
        return ("flags interval",) if " . " in self.head else ("flags interval", "auto-merge")


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules under a name. `hook`: `type filter hook forward priority 0; policy drop`, empty for one to jump to."""

    rules: tuple[str, ...] = ()
    hook: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `counters`: names of its counters."""

    family: str
    name: str
    counters: tuple[str, ...] = ()
    sets: Mapping[str, Set] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.family} {self.name}"

    def lines(self) -> Iterator[str]:
        """The table as nft reads it."""
        yield f"table {self.place} {{"
        for counter in self.counters:
            yield f" counter {counter} {{\n }}"
        for name, one in self.sets.items():
            flags = "".join(f"\n  {flag}" for flag in one.flags)
            elements = f"\n  elements = {{ {', '.join(sorted(one.elements))} }}" if one.elements else ""
            yield f" {one.word} {name} {{\n  {one.head}{flags}{elements}\n }}"
        for name, chain in self.chains.items():
            yield f" chain {name} {{"
            if chain.hook:
                yield f"  {chain.hook}"
            yield from (f"  {rule}" for rule in chain.rules)
            yield " }"
        yield "}"


@dataclass(frozen=True)
class Ruleset:
    """The tables of one namespace. The first one bears the marks of `generation`. `digest`: a number that stands for
    all in them, where whoever made them has one; else their text does."""

    tables: tuple[Table, ...]
    generation: int
    digest: int | None = None

    @cached_property
    def sum(self) -> str:
        """What tells these rules from others: 16 hex digits."""
        if self.digest is not None:
            return sum_of(self.generation, self.digest)
        lines = (line for table in self.tables for line in table.lines())
        return hashlib.sha256("\n".join((str(self.generation), *lines)).encode()).hexdigest()[:16]

    @property
    def marks(self) -> tuple[str, str]:
        return marks_of(self.generation, self.sum)

    def _marked(self) -> Iterator[Table]:
        first, *others = self.tables
        chains = {**first.chains, **{mark: Chain() for mark in self.marks}}
        yield Table(first.family, first.name, first.counters, first.sets, chains)
        yield from others

    def whole(self) -> str:
        """One transaction that replaces whatever stands in these tables."""
        lines = [f"add table {table.place}\ndelete table {table.place}" for table in self.tables]
        return "\n".join([*lines, *(line for table in self._marked() for line in table.lines())]) + "\n"

    def after(self, old: Ruleset) -> str | None:
        """One transaction that makes these rules of `old`, if that is the shorter way; None when it is not."""
        mine, theirs = tuple(self._marked()), tuple(old._marked())
        if [(table.place, table.counters) for table in mine] != [(table.place, table.counters) for table in theirs]:
            return None
        lines: list[str] = []
        for new, former in zip(mine, theirs, strict=True):
            if not _same_heads(new, former):
                return None
            lines += _between(former, new)
        return "\n".join(lines) + "\n"


def sum_of(generation: int, digest: int) -> str:
    """The sum of rules whose pieces add up to `digest`."""
    return hashlib.sha256(f"{generation} {digest:x}".encode()).hexdigest()[:16]


def marks_of(generation: int, own: str) -> tuple[str, str]:
    """The names of the chains that tell the generation and the sum."""
    return f"{GENERATION}{generation}", f"{SUM}{own}"


def _same_heads(new: Table, old: Table) -> bool:
    sets = all((old.sets[name].head, old.sets[name].ranges) == (new.sets[name].head, new.sets[name].ranges)
               for name in new.sets.keys() & old.sets.keys())  # fmt: skip
    hooks = {name: chain.hook for name, chain in new.chains.items() if chain.hook}
    return sets and hooks == {name: chain.hook for name, chain in old.chains.items() if chain.hook}


def elements(verb: str, place: str, name: str, found: Iterable[str]) -> Iterator[str]:
    """Lines that add elements to a set, or delete them."""
    listed = sorted(found)
    for start in range(0, len(listed), _PIECE):
        yield f"{verb} element {place} {name} {{ {', '.join(listed[start : start + _PIECE])} }}"


def _between(old: Table, new: Table) -> Iterator[str]:
    place = new.place
    for name in new.sets.keys() - old.sets.keys():
        one = new.sets[name]
        flags = "".join(f"; {flag}" for flag in one.flags)
        yield f"add {one.word} {place} {name} {{ {one.head}{flags}; }}"
    for name in new.chains.keys() - old.chains.keys():
        yield f"add chain {place} {name}"
    for name, chain in new.chains.items():
        before = old.chains.get(name)
        if before is not None and before.rules != chain.rules:
            yield f"flush chain {place} {name}"
        if before is None or before.rules != chain.rules:
            yield from (f"add rule {place} {name} {rule}" for rule in chain.rules)
    for name, one in new.sets.items():
        had = old.sets[name].elements if name in old.sets else frozenset[str]()
        if one.ranges and had and had != one.elements:
            yield f"flush {one.word} {place} {name}"
            had = frozenset()
        if not one.ranges:
            yield from elements("delete", place, name, had - one.elements)
        yield from elements("add", place, name, one.elements - had)
    for name in old.chains.keys() - new.chains.keys():
        yield f"flush chain {place} {name}"
    for name in old.sets.keys() - new.sets.keys():
        yield f"flush {old.sets[name].word} {place} {name}"
    for name in old.chains.keys() - new.chains.keys():
        yield f"delete chain {place} {name}"
    for name in old.sets.keys() - new.sets.keys():
        yield f"delete {old.sets[name].word} {place} {name}"
