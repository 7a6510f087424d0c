"""A network as this process has loaded it, and the shortest way from there: what one port's change asks of `nft`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from andromede.engines.linux import dhcp, network_rules
from andromede.engines.linux.network_rules import RANGES, Piece, chain_digest, is_loose, kind_chains, member_digest
from andromede.engines.linux.ruleset import Chain, Ruleset, elements, marks_of, sum_of
from andromede.network.engine import NONE, NetworkChange, NetworkPart, PortPart
from andromede.network.picture import Picture, Plan

_PLACES = {"sg": "inet sg", "ps": "bridge ps"}
Elements = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Way:
    """From the rules that stand to those of a change. `pieces`, `lines`: of the ports that move, None for those that
    go. `digest`: of the rules to come, `sum` their mark. `text`: the transaction for nft. `files`: whether the daemon
    has other lines to read."""

    plan: Plan
    pieces: Mapping[str, Piece | None]
    lines: Mapping[str, dhcp.Lines | None]
    worn: Mapping[str, int]
    kinds: Mapping[tuple[str, ...], int]
    digest: int
    sum: str
    text: str
    files: bool


def _ruled(port: PortPart | None) -> bool:
    return port is not None and port.kind != NONE and port.secured


class Standing:
    """One network. `digest`: of its rules, kept by adding what comes and taking off what goes."""

    def __init__(self, part: NetworkPart) -> None:
        self.picture = Picture(part)
        ports = network_rules.filtered(part)
        numbers = network_rules.marks(ports)
        stateful = {group.id: group.stateful for group in part.groups}
        self._crossed = any(number != network_rules.natural(port_id) for port_id, number in numbers.items())
        self._taken = set(numbers.values())
        self._pieces = {
            port.id: network_rules.piece(port, numbers[port.id], is_loose(port, stateful)) for port in ports
        }
        self._kinds = Counter(port.groups for port in ports)
        self._worn = Counter(group for port in ports for group in port.groups)
        self._wide = {group.id for group in part.groups if any("/" in text for text in group.members)}
        rules = network_rules.render(part)
        assert rules.digest is not None
        self.digest, self.sum = rules.digest, rules.sum
        self._conf, self._served = dhcp.network_conf(part), dhcp.handed_out(part)
        self._lines = {port.id: dhcp.lines(port, self._served) for port in part.ports}

    @property
    def marks(self) -> tuple[str, str]:
        return marks_of(self.picture.generation, self.sum)

    def whole(self) -> Ruleset:
        """All rules."""
        return network_rules.render(self.picture.part())

    def files(self, way: Way | None = None) -> dhcp.Files | None:
        """What the daemon is told, or will be at the end of a way."""
        moved = way.lines if way is not None else {}
        kept = {port_id: lines for port_id, lines in self._lines.items() if port_id not in moved}
        return dhcp.files(self._conf, kept | {key: lines for key, lines in moved.items() if lines is not None})

    def way(self, change: NetworkChange) -> Way | None:
        """The way to where a change leads; None where the whole is to be rendered: numbers of ports collide, or ranges
        move, which nft takes only all at once."""
        plan = self.picture.plan(change)
        if plan is None or self._crossed or self._ranged(plan):
            return None
        pieces = self._new_pieces(plan)
        if pieces is None:
            return None
        worn, kinds = self._counts(plan)
        steps = _Steps(self, plan, pieces)
        steps.chains(worn, kinds)
        total = self.digest + steps.digest
        own = sum_of(plan.generation, total)
        text = steps.text(marks_of(plan.generation, own))
        lines = {move.port_id: None if move.new is None else dhcp.lines(move.new, self._served) for move in plan.moves}
        files = any(self._lines.get(port_id, dhcp.Lines()) != (one or dhcp.Lines()) for port_id, one in lines.items())
        return Way(plan, pieces, lines, worn, kinds, total, own, text, files)

    def _ranged(self, plan: Plan) -> bool:
        """Whether members move that are ranges, or that are beside ranges."""
        return any(group in self._wide or "/" in text for group, text in (*plan.joined, *plan.left))

    def _new_pieces(self, plan: Plan) -> dict[str, Piece | None] | None:
        """What the ports that move have in the rules from now on."""
        found: dict[str, Piece | None] = {}
        stateful = {group.id: group.stateful for group in plan.groups.values() if group is not None}
        taken: set[int] = set()
        for move in plan.moves:
            if move.new is None or not _ruled(move.new):
                new = None
            else:
                number = network_rules.natural(move.port_id)
                if number in taken or (number in self._taken and move.port_id not in self._pieces):
                    return None
                taken.add(number)
                new = network_rules.piece(move.new, number, is_loose(move.new, self._stateful(move.new, stateful)))
            old = self._pieces.get(move.port_id)
            if any(_of(old, ("ps", name)) != _of(new, ("ps", name)) for name in RANGES):
                return None
            found[move.port_id] = new
        return found

    def _stateful(self, port: PortPart, more: Mapping[str, bool]) -> dict[str, bool]:
        known = self.picture.groups
        return {group: more[group] if group in more else known[group].stateful for group in port.groups}

    def _counts(self, plan: Plan) -> tuple[Counter[str], Counter[tuple[str, ...]]]:
        """How many ports with rules more or fewer there are in each group, and of each kind."""
        worn: Counter[str] = Counter()
        kinds: Counter[tuple[str, ...]] = Counter()
        for move in plan.moves:
            for port, step in ((move.old, -1), (move.new, 1)):
                if port is not None and _ruled(port):
                    kinds[port.groups] += step
                    worn.update(dict.fromkeys(port.groups, step))
        return worn, kinds

    def turns(self, worn: Mapping[str, int], begin: bool) -> Iterator[str]:
        """Groups whose chains begin to be needed, or cease to be."""
        for group, step in worn.items():
            before, after = self._worn[group], self._worn[group] + step
            if (not before and after) if begin else (before and not after):
                yield group

    def kinds(self, steps: Mapping[tuple[str, ...], int], begin: bool) -> Iterator[tuple[str, ...]]:
        """The same of kinds of ports."""
        for kind, step in steps.items():
            before, after = self._kinds[kind], self._kinds[kind] + step
            if (not before and after) if begin else (before and not after):
                yield kind

    def piece(self, port_id: str) -> Piece | None:
        return self._pieces.get(port_id)

    def take(self, way: Way) -> None:
        """The way was gone."""
        self.picture.take(way.plan)
        self.digest, self.sum = way.digest, way.sum
        for port_id, piece in way.pieces.items():
            if self._pieces.pop(port_id, None) is not None:
                self._taken.discard(network_rules.natural(port_id))
            if piece is not None:
                self._pieces[port_id] = piece
                self._taken.add(network_rules.natural(port_id))
        for key, lines in way.lines.items():
            self._lines.pop(key, None)
            if lines is not None:
                self._lines[key] = lines
        self._worn.update(way.worn)
        self._kinds.update(way.kinds)


def _of(piece: Piece | None, place: tuple[str, str]) -> frozenset[str]:
    return piece.elements.get(place, frozenset()) if piece is not None else frozenset()


class _Steps:
    """The lines of one transaction, in the order that nft needs."""

    def __init__(self, standing: Standing, plan: Plan, pieces: Mapping[str, Piece | None]) -> None:
        self._standing, self._plan = standing, plan
        self._begin: list[tuple[str, Chain]] = []
        self._end: list[str] = []
        self._more: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._less: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.digest = 0
        for port_id, new in pieces.items():
            self._piece(standing.piece(port_id), new)
        for moved, into, step in ((plan.joined, self._more, 1), (plan.left, self._less, -1)):
            for group, text in moved:
                name = network_rules.set_name("m", 6 if ":" in text else 4, group)
                into["sg", name].add(text)
                self.digest += step * member_digest(name, text)

    def _piece(self, old: Piece | None, new: Piece | None) -> None:
        for place in {**(old.elements if old else {}), **(new.elements if new else {})}:
            before, after = _of(old, place), _of(new, place)
            self._less[place] |= before - after
            self._more[place] |= after - before
        self.digest += (new.digest if new else 0) - (old.digest if old else 0)

    def chains(self, worn: Mapping[str, int], kinds: Mapping[tuple[str, ...], int]) -> None:
        """Chains of groups and of kinds of ports that come and go."""
        known, turned = self._standing.picture.groups, self._plan.groups
        for group_id in self._standing.turns(worn, begin=True):
            group = turned.get(group_id) or known[group_id]
            self._come(network_rules.group_chains(group))
        for kind in self._standing.kinds(kinds, begin=True):
            self._come(kind_chains(kind))
        for kind in self._standing.kinds(kinds, begin=False):
            self._go(kind_chains(kind))
        for group_id in self._standing.turns(worn, begin=False):
            self._go(network_rules.group_chains(known[group_id]))

    def _come(self, found: Iterator[tuple[str, Chain]]) -> None:
        for name, chain in found:
            self._begin.append((name, chain))
            self.digest += chain_digest("sg", name, chain)

    def _go(self, found: Iterator[tuple[str, Chain]]) -> None:
        for name, chain in found:
            self._end.append(name)
            self.digest -= chain_digest("sg", name, chain)

    def text(self, marks: tuple[str, str]) -> str:
        """The transaction."""
        own = _PLACES["sg"]
        lines = [f"add chain {own} {name}" for name, _ in self._begin]
        lines += [f"add rule {own} {name} {rule}" for name, chain in self._begin for rule in chain.rules]
        for verb, moved in (("delete", self._less), ("add", self._more)):
            for (table, name), texts in moved.items():
                lines += elements(verb, _PLACES[table], name, texts)
        lines += [f"flush chain {own} {name}" for name in self._end]
        lines += [f"delete chain {own} {name}" for name in self._end]
        former = self._standing.marks
        lines += [f"add chain {own} {mark}" for mark in marks if mark not in former]
        lines += [f"delete chain {own} {mark}" for mark in former if mark not in marks]
        return "\n".join(lines) + "\n"
