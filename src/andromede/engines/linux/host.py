"""What the parts of this engine share: whose installation it is, where files lie, and how rules are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.engines.linux import names
from andromede.engines.linux.netfilter import chains
from andromede.engines.linux.nft import run
from andromede.engines.linux.ruleset import GENERATION, SUM, Ruleset

if TYPE_CHECKING:
    from andromede.engines.linux.sweeping import Swept


def _nothing(step: str) -> None:
    """Between any two steps nothing else happens."""


@dataclass(frozen=True, slots=True)
class Host:
    """`installation`: six hex digits. `runtime`: a folder that this installation has for itself below /run. `step` is
    called before each change of the machine with its name, and may raise: so tests end an engine midway."""

    installation: str
    runtime: Path
    step: Callable[[str], None] = _nothing
    loaded: dict[str, Callable[[], Ruleset]] = field(default_factory=dict)
    """What this process has loaded last, by namespace: only to know a shorter way, and believed only if the kernel
    bears its marks."""

    swept: dict[str, Swept] = field(default_factory=dict)
    """The same of connections that were judged."""

    @classmethod
    def of(cls, installation: str, runtime: Path) -> Host:
        """For an installation, known by its id; `runtime` is the folder of all installations."""
        short = names.short(installation, 6)
        return cls(short, runtime / short)

    def folder(self, part_id: str) -> Path:
        """Files of one network or router."""
        return self.runtime / "net" / names.short(part_id, 32)

    def forget(self, place: str) -> None:
        """A namespace is gone, and what was known of it."""
        self.loaded.pop(place, None)
        self.swept.pop(place, None)

    def load(self, place: str, rules: Ruleset, table: str) -> bool:
        """Bring the calling thread's namespace, known as `place`, to these rules; whether they were others. `table`:
        the one with the marks."""
        marks = chains(table)
        if set(rules.marks) <= marks:
            self.loaded[place] = lambda: rules
            return False
        self.step("rules")
        known = self.loaded.pop(place, None)
        former = known() if known is not None else None
        way = rules.after(former) if former is not None and set(former.marks) <= marks else None
        if way is None or not run(way, strict=False):
            run(rules.whole(), strict=True)
        self.loaded[place] = lambda: rules
        return True


def generation(marks: set[str]) -> int | None:
    """The generation of the rules in force, None when there are none, or halves of two."""
    found = [mark.removeprefix(GENERATION) for mark in marks if mark.startswith(GENERATION)]
    whole = len(found) == 1 and sum(mark.startswith(SUM) for mark in marks) == 1
    return int(found[0]) if whole and found[0].isdigit() else None
