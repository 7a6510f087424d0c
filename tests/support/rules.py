"""What nft makes of the lines that this program gives it: tables as values, for tests without a kernel."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator


class Tables:
    """Sets, maps, chains and counters by table. Refuses what nft refuses: what is there already, or is not there."""

    def __init__(self, text: str = "") -> None:
        self.sets: dict[tuple[str, str], set[str]] = {}
        self.heads: dict[tuple[str, str], str] = {}
        self.chains: dict[tuple[str, str], list[str]] = {}
        self.counters: dict[str, set[str]] = defaultdict(set)
        self.run(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tables) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def run(self, text: str) -> None:
        """A transaction."""
        lines = iter(text.splitlines())
        for line in lines:
            if line.startswith("table "):
                self._table(line.removeprefix("table ").removesuffix(" {"), lines)
            elif line.startswith(("add ", "delete ", "flush ")):
                self._command(line)
            else:
                raise AssertionError(f"no line of nft's: {line}")
        self._whole()

    def _table(self, place: str, lines: Iterator[str]) -> None:
        for line in lines:
            if line == "}":
                return
            kind, name = line.split()[:2]
            body = []
            for inner in lines:
                if inner.strip() == "}":
                    break
                body.append(inner.strip())
            if kind == "counter":
                self.counters[place].add(name)
            elif kind == "chain":
                self.chains[place, name] = body
            else:
                found = [one for one in body if one.startswith("elements = ")]
                self.heads[place, name] = " ".join(one for one in body if one not in found)
                self.sets[place, name] = set(found[0][len("elements = { ") : -2].split(", ")) if found else set()

    def _command(self, line: str) -> None:
        verb, kind, family, table, *rest = line.split(" ")
        place = f"{family} {table}"
        if kind == "table":
            return
        key = (place, rest[0])
        if kind == "element":
            self._elements(verb, key, line)
        elif kind == "rule":
            self.chains[key].append(" ".join(rest[1:]))
        elif kind == "chain":
            if verb == "add":
                assert key not in self.chains, line
                self.chains[key] = []
            elif verb == "flush":
                self.chains[key].clear()
            else:
                assert not self.chains.pop(key), f"{line}: it has rules"
        else:
            raise AssertionError(f"not expected of a difference: {line}")

    def _elements(self, verb: str, key: tuple[str, str], line: str) -> None:
        own = self.sets[key]
        match = re.search(r"\{ (.*) \}$", line)
        assert match is not None, line
        for element in match[1].split(", "):
            if verb == "add":
                assert element not in own, f"{line}: {element} is there"
                own.add(element)
            else:
                own.remove(element)

    def _whole(self) -> None:
        """No rule and no verdict may name what is not there."""
        for (place, name), rules in self.chains.items():
            for word in re.findall(r"(?:jump|goto) (\S+)", " ".join(rules)):
                assert (place, word) in self.chains, f"{name} jumps to {word}"
            for word in re.findall(r"@([a-z]\w*)", " ".join(rules)):
                assert word == "th" or (place, word) in self.sets, f"{name} asks {word}"
        for (place, _), found in self.sets.items():
            for element in found:
                for word in re.findall(r"goto (\S+)", element):
                    assert (place, word) in self.chains, f"{element} leads nowhere"
