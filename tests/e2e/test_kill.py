"""kill -9 of every role at random points of a mixed load: what was acknowledged is there byte for byte."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from andromede.ledger.note import checkpoint_fields, split_note
from andromede.ledger.tree import check_consistency
from andromede.ops import running
from andromede.ops.layout import Layout
from tests.support.installation import COMMAND, Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.load import S3Door, Writer, load
from tests.support.processes import processes, with_children

pytestmark = pytest.mark.timeout(300)
ROUNDS = int(os.environ.get("ANDROMEDE_KILL_ROUNDS", "2"))


@pytest.fixture(scope="module")
def own() -> Iterator[Installation]:
    installation = Installation.fresh(
        objects__test_mode=True, objects__worker_seconds=1, objects__garbage_grace_seconds=1
    )
    with installation:
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


@pytest.fixture(scope="module")
def writers(own: Installation) -> list[Writer]:
    door = S3Door(own)
    status, answer, _ = door.call("PUT", "/crash")
    assert status == 200, answer
    door.close()
    return [Writer(own, "crash", f"writer-{number}", number) for number in range(4)]


def kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def answers(installation: Installation) -> bool:
    door = S3Door(installation)
    try:
        return door.call("GET", "/crash?max-keys=1")[0] == 200
    except ConnectionError:
        return False
    finally:
        door.close()


def restarted(installation: Installation, role: str, victims: list[int]) -> bool:
    """Whether a process of the role runs that is not one of the victims."""
    return any(kind == role and pid not in victims for pid, kind in processes(installation.data).items())


def acknowledged(writers: list[Writer]) -> int:
    return sum(writer.acknowledged for writer in writers)


def acknowledged_beyond(count: int, writers: list[Writer]) -> bool:
    return acknowledged(writers) > count


def check(installation: Installation, writers: list[Writer]) -> None:
    door = S3Door(installation)
    wrong = [text for writer in writers for text in writer.verify(door)]
    door.close()
    assert wrong == []
    assert [text for writer in writers for text in writer.unexpected] == []


class Ledger:
    """The project's log over the API, and every checkpoint that was seen of it."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.seen: list[tuple[int, bytes]] = [(0, b"")]

    def check(self, writers: list[Writer]) -> None:
        """Every place that an answer named holds that request's event, and the log extends what was seen before."""
        promised = [place for writer in writers for place in writer.places]
        self._user = Keystone.log_in(self.installation, self.installation.clouds["andromede"]["auth"])
        with contextlib.closing(self._user.http):
            self._compare(promised)

    def _compare(self, promised: list[tuple[str, str]]) -> None:
        last = max(int(place.split()[1]) for place, _ in promised)
        size, root = wait_until("a checkpoint over all of it", partial(self._covering, last), 30)
        events = self._events(size)
        wrong = [(place, request) for place, request in promised if events.get(int(place.split()[1])) != request]
        assert wrong == [], f"{len(wrong)} of {len(promised)} places hold something else"
        assert len(events) == size
        for old, old_root in self.seen[1:]:
            proof = self._get(f"/consistency?old={old}&size={size}").text.split("\n")
            steps = [base64.b64decode(line) for line in proof if line]
            assert check_consistency(old, size, old_root, root, steps), f"the log of {size} is no extension of {old}"
        self.seen.append((size, root))

    def _get(self, path: str) -> Any:
        user = self._user
        answer = user.http.get(
            f"http://{self.installation.api}/sovereignty/v1{path}", headers={"X-Auth-Token": user.token}
        )
        assert answer.status_code == 200, answer.text
        return answer

    def _covering(self, index: int) -> tuple[int, bytes] | None:
        _, size, root = checkpoint_fields(split_note(self._get("/checkpoint").text)[0])
        return (size, root) if size > index else None

    def _events(self, size: int) -> dict[int, str]:
        found: dict[int, str] = {}
        while len(found) < size:
            rows = self._get(f"/events?from={len(found)}&to={size}").json()["events"]
            assert rows, f"the events stop at {len(found)} of {size}"
            found |= {row["index"]: json.loads(row["event"])["request_id"] for row in rows}
        return found


@pytest.fixture(scope="module")
def ledger(own: Installation) -> Ledger:
    return Ledger(own)


@pytest.mark.parametrize("role", ["objects", "api", "work"])
def test_a_killed_role_comes_back_and_nothing_acknowledged_is_lost(
    role: str, own: Installation, writers: list[Writer], ledger: Ledger
) -> None:
    chance = random.Random(role)
    for _ in range(ROUNDS):
        with load(writers):
            time.sleep(0.5 + chance.random())
            victims = [pid for pid, kind in processes(own.data).items() if kind == role]
            assert victims, f"no process of role {role}: {processes(own.data)}"
            kill(victims)
            wait_until(f"restart of {role}", partial(restarted, own, role, victims))
            wait_until("answers after the kill", lambda: answers(own))
            before = acknowledged(writers)
            wait_until("writing after the kill", partial(acknowledged_beyond, before, writers))
        check(own, writers)
        ledger.check(writers)


def test_L2_everything_killed_at_once(own: Installation, writers: list[Writer], ledger: Ledger) -> None:
    chance = random.Random(7)
    for _ in range(ROUNDS):
        with load(writers):
            time.sleep(0.5 + chance.random())
            kill(sorted(with_children(list(processes(own.data)))))
            wait_until("end of all processes", lambda: not processes(own.data))
        own.start()
        check(own, writers)
        ledger.check(writers)


def test_a_start_goes_on_when_whoever_asked_for_it_is_killed(own: Installation, writers: list[Writer]) -> None:
    own.stop()
    words = ["up", "--listen", own.api, "--objects", own.objects, "--detach", "--data", str(own.data)]
    asker = subprocess.Popen([*COMMAND, *words], env=own.environment, stdin=subprocess.DEVNULL)
    wait_until("the detached supervisor", lambda: "up" in processes(own.data).values(), every=0.005)
    asker.kill()
    asker.wait()
    state = Layout(own.data).run / "state.json"
    wait_until("the published state", state.exists)
    wait_until("answers", lambda: answers(own))
    assert own.run("up", *words[1:6]).stdout.count("already runs") == 1  # the supervisor lives on
    check(own, writers)


def test_what_a_killed_supervisor_left_is_no_running_cloud(own: Installation) -> None:
    """Its state file names it, and its roles still hold the lock while they end: a start must not be satisfied."""
    state = Layout(own.data).run / "state.json"
    left = state.read_bytes()
    own.stop()
    state.write_bytes(left)
    lock = running.acquire(Layout(own.data))
    try:
        done = own.run("up", "--detach", check=False)
        assert done.returncode == 1 and "starting or stopping now" in done.stdout
    finally:
        os.close(lock)
    own.start()


def test_fsck_is_clean_afterwards(own: Installation, writers: list[Writer]) -> None:
    assert acknowledged(writers) > 20
    done = own.run("fsck", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    own.stop()
    done = own.run("fsck", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    own.start()
    check(own, writers)


def test_a_start_that_finds_no_keys_of_its_credentials_makes_no_others(
    own: Installation, writers: list[Writer]
) -> None:
    """What a loss of power could leave, before names were flushed: a folder without its files."""
    own.stop()
    folder, aside = own.data / "keys" / "credential", own.data.with_name(own.data.name + "-aside")
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    try:
        done = own.run("up", "--detach", check=False)
        assert done.returncode == 1 and f"{folder} is missing" in done.stdout
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()
        aside.rename(folder)
    own.start()
    check(own, writers)
