"""Real forks: readiness, restart with back-off, orderly end, listeners."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from andromede.clock import SystemClock
from andromede.errors import Conflict, Error, Fatal, Invalid, Unavailable
from andromede.log import Log
from andromede.ops import child, listeners
from andromede.ops.supervise import Child, Hooks, Role, Supervisor

pytestmark = pytest.mark.timeout(60)


def steady(ready: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ready()
    while True:
        signal.pause()


def failing(ready: Callable[[], None]) -> None:
    raise Invalid("this role cannot run", "test")


def stubborn(ready: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready()
    while True:
        signal.pause()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    made: list[Supervisor] = []
    own = (tmp_path / "own").open("a")
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def build(*roles: Role, hooks: Hooks | None = None) -> Supervisor:
        quiet = Log(own, clock=SystemClock())
        made.append(Supervisor(roles, SystemClock(), quiet, fd, hooks or Hooks()))
        return made[-1]

    yield build
    for supervisor in made:
        supervisor.stop(0.0)
    os.close(fd)
    own.close()
    gc.unfreeze()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def terminate_when(condition: Callable[[], object]) -> None:
    """SIGTERM to this thread once the condition holds. To the thread, where the supervisor has blocked it until it
    looks: sent to the process, it would end it by way of any other thread while the supervisor is not waiting."""
    supervising, end = threading.get_ident(), time.monotonic() + 30

    def watch() -> None:
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)
        signal.pthread_kill(supervising, signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def test_roles_start_run_and_end(make: Callable[..., Supervisor]) -> None:
    supervisor = make(Role("one", steady), Role("two", steady))
    supervisor.start()
    pids = [each.pid for each in supervisor.children]
    assert all(alive(pid) for pid in pids)
    assert Path(f"/proc/{pids[0]}/comm").read_text().strip() == "andromede:one"
    terminate_when(lambda: True)
    supervisor.run()
    assert not any(alive(pid) for pid in pids)


def test_a_role_that_dies_is_started_again(make: Callable[..., Supervisor]) -> None:
    notices: list[str] = []
    changes: list[int] = []
    hooks = Hooks(lambda children: changes.append(len(children)), lambda: None, notices.append)
    supervisor = make(Role("one", steady), hooks=hooks)
    supervisor.start()
    first = supervisor.children[0].pid
    os.kill(first, signal.SIGKILL)
    terminate_when(lambda: len(notices) > 1)
    supervisor.run()
    assert supervisor.children[0].restarts == 1
    assert "SIGKILL" in notices[0]
    assert "serving again" in notices[1]
    assert len(changes) >= 3


def test_back_off_grows_and_is_bounded(make: Callable[..., Supervisor]) -> None:
    supervisor = make(Role("one", steady))
    one = Child(supervisor.roles[0], pid=1, since=supervisor.clock.monotonic())
    delays = []
    for _ in range(12):
        one.pid = 1
        supervisor._ended(one, 256)
        delays.append(one.delay)
    assert delays[:3] == [0.1, 0.2, 0.4]
    assert max(delays) == 30.0
    assert one.died == "ended with status 1"


def test_a_role_that_cannot_start_is_named(make: Callable[..., Supervisor], tmp_path: Path) -> None:
    supervisor = make(Role("good", steady), Role("bad", failing))
    with pytest.raises(Unavailable, match="bad ended with status 1 while starting"):
        supervisor.start()
    assert not any(each.pid for each in supervisor.children)
    assert "this role cannot run" in (tmp_path / "log").read_text()


def test_a_role_that_ignores_the_signal_is_killed(make: Callable[..., Supervisor]) -> None:
    supervisor = make(Role("stubborn", stubborn))
    supervisor.start()
    pid = supervisor.children[0].pid
    began = time.monotonic()
    supervisor.stop(0.3)
    assert not alive(pid)
    assert time.monotonic() - began < 5


def test_work_in_a_child_returns_or_raises() -> None:
    assert child.start(lambda: {"pid": os.getpid()}).result()["pid"] != os.getpid()

    def wrong() -> dict[str, int]:
        raise Invalid("no such thing", "thing", cause="why")

    with pytest.raises(Error, match="no such thing") as caught:
        child.start(wrong).result()
    assert (caught.value.reason, caught.value.cause) == ("thing", "why")
    with pytest.raises(Fatal, match="ZeroDivisionError"):
        child.start(lambda: {"n": 1 // 0}).result()
    with pytest.raises(Fatal, match="without an answer"):
        child.start(lambda: os._exit(0)).result()


def test_addresses_are_parsed_and_named() -> None:
    assert listeners.parse("[::1]:80") == listeners.Address("::1", 80)
    assert listeners.Address("::1", 80).url(True) == "https://[::1]:80"
    assert listeners.Address("0.0.0.0", 80).url(False) == f"http://{socket.gethostname()}:80"
    for wrong in ("host", "host:", "host:http", "host:70000"):
        with pytest.raises(Invalid, match="HOST:PORT"):
            listeners.parse(wrong)


def test_a_port_in_use_is_said_and_free_ones_are_found() -> None:
    sockets = listeners.bind("127.0.0.1:0", 3)
    port = sockets[0].getsockname()[1]
    assert len({each.getsockname() for each in sockets}) == 1
    assert listeners.address_of(sockets[1], "127.0.0.1:0") == listeners.Address("127.0.0.1", port)
    for count in (1, 2):
        with pytest.raises(Conflict, match="in use"):
            listeners.bind(f"127.0.0.1:{port}", count)
    for each in sockets:
        each.close()
    with pytest.raises(Invalid, match="no such address"):
        listeners.bind("203.0.113.7:8700")


def test_ticks_come_while_a_duty_wants_its_turns(
    make: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a former process finishes for minutes: the log is turned over all the same."""

    class Busy:
        turns = 0

        def asked(self) -> None: ...

        def turn(self) -> float:
            self.turns += 1
            return 0.01

    ticks: list[float] = []
    duty = Busy()
    monkeypatch.setattr("andromede.ops.supervise.TICK_SECONDS", 0.2)
    supervisor = make(Role("a", steady), hooks=Hooks(tick=lambda: ticks.append(time.monotonic()), duty=duty))
    supervisor.start()
    terminate_when(lambda: len(ticks) >= 3)
    supervisor.run()
    assert len(ticks) >= 3 and duty.turns > len(ticks)
    assert all(later - earlier >= 0.19 for earlier, later in itertools.pairwise(ticks))
