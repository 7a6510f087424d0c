"""Take the power away at any moment and look at what is left: `python -m tests.campaign.power --states 500 --seed 1`.

A short mixed load runs once, from the first start on, under a small preloaded library that logs every operation on the
data directory. From that log the directory is rebuilt as a loss of power would have left it after any operation: what
no flush covered is lost, or kept in part, or torn. Each rebuilt directory is opened and held against everything that
clients had been told before that moment; every tenth is started and answers over both doors.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andromede.ledger.note import checkpoint_fields, split_note
from tests.campaign import driver
from tests.campaign.crash import SETTINGS, Campaign, versions
from tests.campaign.crash_control import Keys
from tests.campaign.crash_doors import Answer, Api, Lost
from tests.campaign.crash_model import ABSENT, Journal, Version, Violations, shown
from tests.campaign.power_check import Promised, apart, broken_promises, possible
from tests.support import powerlog
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.load import S3Door
from tests.support.powerlog import Counter, Loss, Replay, operations

LOSSES = (("none", 40), ("before", 25), ("some", 30), ("all", 5))
START_EVERY = 10
CHECKPOINT_SECONDS = 0.25


@dataclass(slots=True)
class Recording:
    """One run under the library."""

    folder: Path
    installation: Installation
    told: Promised
    violations: list[dict[str, Any]]
    acknowledged: int
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "operations"


@contextlib.contextmanager
def preloaded(folder: Path, data: Path) -> Iterator[None]:
    """Processes that start meanwhile log what they do to `data`."""
    library = powerlog.build(folder)
    added = {"LD_PRELOAD": str(library), "POWER_ROOT": str(data), "POWER_LOG": str(folder / "operations")}
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def watch(api: Api, counter: Counter, seconds: float) -> list[tuple[int, int, bytes]]:
    """Checkpoints that were given out meanwhile."""
    found: list[tuple[int, int, bytes]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Lost):
            answer = api.call("GET", "/sovereignty/v1/checkpoint")
            if answer.status == 200:
                _, size, root = checkpoint_fields(split_note(answer.body.decode())[0])
                found.append((counter(), size, root))
        time.sleep(CHECKPOINT_SECONDS)
    return found


def record(folder: Path, seed: int, seconds: float, workers: int) -> Recording:
    """First start, load, an orderly stop in the middle, load, the end."""
    installation = Installation.fresh(**SETTINGS)
    (folder / "operations").touch()
    counter = Counter(folder / "operations.count")
    with preloaded(folder, installation.data):
        installation.start()
        ready = counter()
        journal = Journal(folder / "journal.jsonl", counter)
        made = Campaign(installation, seed, journal, Violations(journal), random.Random(seed))
        try:
            made.prepare(workers)
            made.go()
            checkpoints = watch(made.checks.api, counter, seconds / 2)
            made.fleet.pause()
            installation.stop()
            installation.start()
            made.fleet.resume()
            checkpoints += watch(made.checks.api, counter, seconds / 2)
        finally:
            made.fleet.stop()
            made.checks.doors.close()
            installation.stop()
    return Recording(folder, installation, _told(made, ready, checkpoints), made.violations.found, journal.acknowledged)


def _told(made: Campaign, ready: int, checkpoints: list[tuple[int, int, bytes]]) -> Promised:
    keys = next(worker for worker in made.fleet.workers if isinstance(worker, Keys))
    promises = [promise for worker in made.fleet.workers for promise in worker.doors.promises]
    promises += [promise for worker in made.fleet.workers if hasattr(worker, "api") for promise in worker.api.promises]
    history = made.journal.history
    project = made.fleet.user.project_id
    return Promised(project, keys.tenant.project_id, keys.ids, history, promises, checkpoints, ready)


# --- states


def moments(recording: Recording, count: int, chance: random.Random) -> list[int]:
    """Numbers of operations after which the power goes: anywhere, at first starts, and right after answers."""
    last = max(op.number for op in operations(recording.log))
    answers = [change.end for changes in recording.told.keys.values() for change in changes if change.end]
    found: list[int] = []
    while len(found) < count:
        draw = chance.random()
        if draw < 0.06:
            found.append(chance.randrange(1, recording.told.ready))
        elif draw < 0.6 and answers:
            found.append(min(last, chance.choice(answers)))
        else:
            found.append(chance.randrange(recording.told.ready, last + 1))
    return sorted(found)


def whole(recording: Recording, replay: Replay, folder: Path) -> list[str]:
    """The library has missed nothing when replaying all of its log gives the directory that is there."""
    target = folder / "whole"
    replay.lose(target, Loss("all", 0))
    data = recording.installation.data
    wrong: list[str] = []

    def tree(root: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_file() and not name.startswith("log/") and not name.endswith(("-shm", ".db.lock")):
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    there, replayed = tree(data), tree(target)
    for name in sorted(there.keys() | replayed.keys()):
        if there.get(name) != replayed.get(name):
            wrong.append(f"{name} differs: {name in there}, {name in replayed}")
    shutil.rmtree(target)
    return wrong


@dataclass(slots=True)
class Trial:
    """Rebuilt states of one recording."""

    recording: Recording
    folder: Path
    chance: random.Random
    kinds: Tally[str] = field(default_factory=Tally)
    started: int = 0
    compared: int = 0
    found: list[dict[str, Any]] = field(default_factory=list)
    flushes: int = 0

    def run(self, count: int, start_every: int) -> None:
        """So many states, in the order of their moments; at the end proof that the log was whole."""
        due = moments(self.recording, count, self.chance)
        replay = Replay(self.recording.installation.data, self.folder / "durable")
        done = 0
        for op in operations(self.recording.log):
            while done < len(due) and due[done] < op.number:
                self._state(replay, due[done], done, start_every)
                done += 1
                if done % 50 == 0:
                    print(f"{done}/{count} states, violations: {len(self.found)}", flush=True)
            replay.feed(op)
        while done < len(due):
            self._state(replay, due[done], done, start_every)
            done += 1
        self.flushes = replay.flushes
        for text in whole(self.recording, replay, self.folder):
            self._add(0, Loss("all", 0), f"the log of operations is not complete: {text}", None)

    def _state(self, replay: Replay, at: int, number: int, start_every: int) -> None:
        kinds, weights = zip(*LOSSES, strict=True)
        loss = Loss(self.chance.choices(kinds, weights)[0], self.chance.randrange(1 << 30))
        target = self.folder / f"state-{number}"
        replay.lose(target, loss)
        self.kinds[loss.kind] += 1
        told, environment = self.recording.told, self.recording.installation.environment
        begun = at >= told.ready
        if not begun or number % start_every == 0:
            wrong = self._started(target, at, begun)
            self.started += 1
        else:
            wrong = apart(lambda: broken_promises(target, environment, told, at))
        self.compared += sum(bool(possible(changes, at, None)) for changes in told.keys.values())
        for text in wrong:
            self._add(at, loss, text, target)
        if not wrong:
            shutil.rmtree(target)

    def _add(self, at: int, loss: Loss, text: str, target: Path | None) -> None:
        self.found.append({"after": at, "loss": loss.kind, "loss_seed": loss.seed, "text": text, "data": str(target)})
        print(f"VIOLATION after operation {at}, {loss}: {text[:1500]} ({target})", flush=True)

    def _started(self, target: Path, at: int, begun: bool) -> list[str]:
        """Start the program there and ask over the doors; then its own proof."""
        own = Installation(target, settings=self.recording.installation.settings)
        wrong: list[str] = []
        try:
            own.start()
            if begun:
                wrong += self._asked(own, at)
            else:
                Keystone.log_in(own, own.clouds["andromede"]["auth"]).http.close()
            door = S3Door(own)
            for status, method, path in ((200, "PUT", "/afterwards"), (200, "PUT", "/afterwards/k")):
                answer = door.call(method, path, b"goes on" if path.endswith("k") else b"")
                if answer[0] != status:
                    wrong.append(f"{method} {path} afterwards: {answer[0]} {answer[1][:300]!r}")
            door.close()
            done = own.run("fsck", "--deep", check=False)
            if done.returncode != 0:
                wrong.append(f"fsck: {done.stdout[-1500:]}")
        except (AssertionError, ConnectionError, OSError) as failure:
            wrong.append(f"it does not start or answer: {failure!r}")
        finally:
            own.stop()
        return wrong

    def _asked(self, own: Installation, at: int) -> list[str]:
        """Objects of the unversioned bucket, byte for byte with their metadata, through the S3 door."""
        from tests.campaign.crash_doors import seen_s3

        door, wrong = S3Door(own), []
        for key, changes in self.recording.told.keys.items():
            if not key.startswith("plain/"):
                continue
            status, body, headers = door.call("GET", f"/{key}")
            states = possible(changes, at, ABSENT)
            found = (seen_s3(Answer(status, body, headers), (), None),) if status == 200 else ABSENT
            if status not in (200, 404) or not any(_same(state, found) for state in states):
                said = "" if status == 200 else repr(body[:200])
                wrong.append(f"{key}: {status} {said} {shown(found)}, promised {[shown(state) for state in states]}")
        door.close()
        return wrong


def _same(state: tuple[Version, ...], found: tuple[Version, ...]) -> bool:
    """Tags are not asked for here."""
    if len(state) != len(found):
        return False
    return all((a.sha, a.meta, a.ctype) == (b.sha, b.meta, b.ctype) for a, b in zip(state, found, strict=True))


def execute(states: int, seed: int, seconds: float, workers: int, start_every: int = START_EVERY) -> dict[str, Any]:
    """A recording and its states; the summary."""
    folder = Path(tempfile.mkdtemp(prefix="andromede-power-"))
    began = time.monotonic()
    recording = record(folder, seed, seconds, workers)
    recorded = time.monotonic()
    print(f"recorded {(folder / 'operations').stat().st_size >> 20} MiB of operations, "
          f"{recording.acknowledged} acknowledged changes, {recorded - began:.0f} s", flush=True)  # fmt: skip
    trial = Trial(recording, folder, random.Random(f"states {seed}"))
    trial.run(states, start_every)
    last = max(op.number for op in operations(recording.log))
    summary = {
        "seed": seed, "states": trial.kinds.total(), "losses": dict(trial.kinds), "started": trial.started,
        "keys compared": trial.compared, "operations": last, "flushes": trial.flushes,
        "acknowledged": recording.acknowledged, "promises": len(recording.told.promises),
        "checkpoints": len(recording.told.checkpoints), "recording seconds": round(recorded - began, 1),
        "seconds": round(time.monotonic() - began, 1), "violations": [*recording.violations, *trial.found],
        **versions(recording.installation),
    }  # fmt: skip
    if summary["violations"]:
        print(f"{folder} and {recording.installation.data} stay for a look", flush=True)
    else:
        shutil.rmtree(folder)
        shutil.rmtree(recording.installation.data)
    return summary


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the recorded load")
    parser.add_argument("--workers", type=int, default=2, help="workers on the unversioned bucket, beside six others")
    parser.add_argument("--output", type=Path, default=driver.OUT / "power.json")
    choice = parser.parse_args(words)
    if reason := powerlog.missing():
        print(f"loss of power: NOT RUN, {reason}")
        return 1
    found = execute(choice.states, choice.seed, choice.seconds, choice.workers)
    driver.write(choice.output, found)
    print(f"{found['states']} states, {len(found['violations'])} violations; summary in {choice.output}")
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
