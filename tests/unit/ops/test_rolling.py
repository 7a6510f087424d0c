"""Roles replaced one by one, by real forks; names that no two processes share; what a check refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from andromede.errors import Conflict, Invalid
from andromede.ops import rolling, running
from andromede.ops.layout import Layout
from andromede.ops.rolling import Check, Handover, Roll
from andromede.ops.running import Restart
from andromede.ops.supervise import RETIRE, Child, Role, Supervisor
from tests.unit.ops.test_supervise import alive, make, steady, terminate_when

__all__ = ["make"]
pytestmark = pytest.mark.timeout(60)


def retiring(ready: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(RETIRE, lambda *_: os._exit(0))
    ready()
    while True:
        signal.pause()


class Once:
    """A role that serves the first time and fails ever after."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "began"

    def __call__(self, ready: Callable[[], None]) -> None:
        if self.mark.exists():
            raise Invalid("the settings are wrong now", "config")
        self.mark.touch()
        retiring(ready)


def idle(supervisor: Supervisor) -> Check:
    return Check(supervisor, lambda checking: Handover(checking, 0, 0.0, [], 0, [], []), ["/none"], lambda *_: None)


def rolled(supervisor: Supervisor) -> tuple[list[tuple[str, str]], list[int]]:
    """What a roll of these roles said, and the processes that there were before."""
    supervisor.start()
    before = [each.pid for each in supervisor.children]
    said: list[tuple[str, str]] = []
    supervisor.hooks.duty = Roll(supervisor, lambda *words: said.append(words), idle(supervisor))
    terminate_when(lambda: said and not (said[-1][0] == "done" and supervisor.others))
    supervisor.run()
    return said, before


def test_every_role_gets_a_new_process(make: Callable[..., Supervisor]) -> None:
    supervisor = make(Role("one", retiring, True), Role("two", retiring, True), Role("work", steady))
    pids: list[list[int]] = []
    supervisor.hooks.changed = lambda children: pids.append([each.pid for each in children])
    said, before = rolled(supervisor)
    assert said == [("done", "")]
    assert len(supervisor.children) == 3 and not supervisor.others
    assert not any(alive(pid) for pid in before)
    assert not set(before) & set(pids[-1])


def test_a_successor_that_fails_leaves_the_former_one(make: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = make(Role("one", Once(tmp_path), True), Role("two", retiring, True))
    supervisor.start()
    before = [each.pid for each in supervisor.children]
    said: list[tuple[str, str]] = []
    served: list[bool] = []

    def say(*words: str) -> None:
        said.append(words)  # type: ignore[arg-type]
        served.extend(alive(pid) for pid in before)

    supervisor.hooks.duty = Roll(supervisor, say, idle(supervisor))
    terminate_when(lambda: said)
    supervisor.run()
    assert [state for state, _ in said] == ["failed"]
    assert "the new one ended with status 1 while starting; the former one goes on serving" in said[0][1]
    assert served == [True, True]
    assert "the settings are wrong now" in (tmp_path / "log").read_text()


def test_former_processes_are_hastened_in_the_end(
    make: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling, "FORMER_SECONDS", 0.2)
    supervisor = make(Role("one", steady, True))  # it does not know RETIRE
    said, before = rolled(supervisor)
    assert said == [("done", "")]
    assert not alive(before[0])


def test_a_check_that_refuses_changes_nothing(make: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = make(Role("one", steady))
    supervisor.start()
    said: list[tuple[str, str]] = []
    seen = tmp_path / "seen"
    program = (
        f"import os; open({str(seen)!r}, 'w').write(os.environ['{rolling.VARIABLE}']); print('{{\"error\": \"no\"}}')"
    )
    reader, writer = os.pipe()

    def handover(checking: bool) -> Handover:
        return Handover(checking, 7, 0.0, ["x"], reader, [], [writer], rolling.told(supervisor.children))

    check = Check(supervisor, handover, [sys.executable, "-c", program], lambda *words: said.append(words))
    supervisor.hooks.duty = check
    check.asked()
    check.asked()  # one at a time
    terminate_when(lambda: len(said) > 1)
    supervisor.run()
    os.close(reader)
    os.close(writer)
    assert said == [("checking", ""), ("refused", "no")]
    assert json.loads(seen.read_text())["checking"] is True


@pytest.mark.parametrize(
    ("command", "words"),
    [(["/none/there"], "cannot be started"), ([sys.executable, "-c", ""], "without an answer")],
)
def test_a_program_that_is_broken_is_refused(make: Callable[..., Supervisor], command: list[str], words: str) -> None:
    supervisor = make(Role("one", steady))
    supervisor.start()
    said: list[tuple[str, str]] = []
    check = Check(
        supervisor, lambda checking: Handover(checking, 0, 0.0, [], 0, [], []), command, lambda *w: said.append(w)
    )
    supervisor.hooks.duty = check
    check.asked()
    terminate_when(lambda: said and said[-1][0] == "refused")
    supervisor.run()
    assert words in said[-1][1]


def test_too_many_former_processes_are_refused(make: Callable[..., Supervisor]) -> None:
    supervisor = make(Role("one", steady))
    supervisor.start()
    said: list[tuple[str, str]] = []
    check = Check(
        supervisor, lambda checking: Handover(checking, 0, 0.0, [], 0, [], []),
        [sys.executable, "-c", "print('{}')"], lambda *w: said.append(w),
    )  # fmt: skip
    supervisor.hooks.duty = check
    supervisor.others = [Child(supervisor.roles[0], kept=False) for _ in range(rolling.FORMER_MOST)]
    check.asked()
    terminate_when(lambda: said and said[-1][0] == "refused")
    supervisor.run()
    assert "former processes of one still finish requests" in said[-1][1]


def test_what_is_handed_over_is_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = [Role("one", steady, True), Role("two", steady)]
    rows = rolling.told([Child(roles[0], 41, 5.0, ready=True, restarts=2), Child(roles[1])])
    old = rolling.told([Child(roles[0], 40, 4.0, ready=True)])
    given = Handover(False, 1, 2.0, [], 3, [4], [5, 6], rows, old)
    monkeypatch.setenv(rolling.VARIABLE, json.dumps({name: getattr(given, name) for name in Handover.__slots__}))
    assert Handover.receive() == given
    assert Handover.receive() is None
    children, others = given.adopted(roles)
    assert [(each.pid, each.ready, each.restarts, each.kept, each.due) for each in children] == [
        (41, True, 2, True, None), (0, False, 0, True, 0.0),
    ]  # fmt: skip
    assert [(each.pid, each.since, each.kept) for each in others] == [(40, 4.0, False)]


def test_no_two_processes_share_a_name(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.run.mkdir()
    script = (
        "import sys\nfrom pathlib import Path\nfrom andromede.ops import running\n"
        "from andromede.ops.layout import Layout\n"
        "print(running.take_name(Layout(Path(sys.argv[1])), 'api-0'), flush=True); sys.stdin.read()"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], env=paths, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    names = sorted(other.stdout.readline().decode().strip() for other in others if other.stdout)
    assert names == ["api-0", "api-0b"]
    assert running.take_name(place, "api-0") == "api-0c"
    for other in others:
        other.kill()
        other.communicate()
    assert {running.take_name(place, "api-0") for _ in range(7)} == {"api-0", *(f"api-0{x}" for x in "bdefgh")}
    with pytest.raises(Conflict, match="still end"):
        running.take_name(place, "api-0")


def test_the_word_about_a_restart_is_kept(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.run.mkdir()
    assert running.read_restart(place) == Restart(0, "done", "")
    running.write_restart(place, Restart(2, "rolling", ""))
    assert running.read_restart(place) == Restart(2, "rolling", "")
    assert not running.read_restart(place).ended
