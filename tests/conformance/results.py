"""Results of a suite beside the id lists that the repository keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Result:
    """One test of a suite: outcome is passed, failed or skipped."""

    id: str
    outcome: str
    seconds: float = 0.0
    message: str = ""


def read_ids(path: Path) -> list[str]:
    """The ids of a list file: one a line; `#` starts a comment; a reason may follow the id after white space."""
    if not path.exists():
        return []
    lines = (line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def write_ids(path: Path, head: str, ids: Iterable[str]) -> None:
    lines = [f"# {line}" for line in head.splitlines()]
    path.write_text("\n".join([*lines, *sorted(set(ids))]) + "\n", encoding="utf-8")


def broken(results: Iterable[Result], promised: Iterable[str]) -> list[str]:
    """Promised ids that did not pass although they ran or should have run."""
    passed = {result.id for result in results if result.outcome == "passed"}
    return sorted(set(promised) - passed)


def by_group(results: Iterable[Result], group: Callable[[str], str]) -> dict[str, Counter[str]]:
    table: dict[str, Counter[str]] = {}
    for result in results:
        table.setdefault(group(result.id), Counter())[result.outcome] += 1
    return dict(sorted(table.items()))


def print_table(title: str, table: dict[str, Counter[str]]) -> None:
    print(f"\n{title}")
    for name, counts in table.items():
        print(f"  {name:32} {counts['passed']:4} passed {counts['failed']:4} failed {counts['skipped']:4} skipped")
    total: Counter[str] = sum(table.values(), Counter())
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)


def verdict(suite: str, results: list[Result], promised: list[str], new: bool = True) -> int:
    """Print what broke and what is newly green; exit code 1 when a promised test did not pass."""
    lost = broken(results, promised)
    gained = sorted({result.id for result in results if result.outcome == "passed"} - set(promised))
    messages = {result.id: result.message for result in results}
    for name in lost:
        print(f"BROKEN {name}: {messages.get(name, 'did not run')}")
    if new and gained:
        print(f"{suite}: {len(gained)} tests pass that no list promises yet (add them with --update)")
    print(f"{suite}: {len(promised)} promised, {len(lost)} broken", flush=True)
    return 1 if lost else 0
