"""The watch over guests: what differs from the rows becomes work or a fault."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from andromede.app.base import migrations
from andromede.audit import Recorder
from andromede.compute import actions, device_lifecycle, lifecycle
from andromede.compute.model import ConsoleToken, DeviceState, Server, State
from andromede.compute.shape import guest_of
from andromede.compute.tables import ACTIONS, CONSOLES, DEVICES, EVENTS, SERVERS
from andromede.compute.watching import Watching
from andromede.db import Database, migrate
from andromede.log import Log
from andromede.work.runner import Runner, Tools
from tests.support.clock import FakeClock, FakeIds
from tests.support.crew import GIB, Hands
from tests.support.walks.servers import SERVER, disk, nic, server


class World:
    """One host with one server that runs."""

    def __init__(self, db: Database, clock: FakeClock, ids: FakeIds) -> None:
        self.db, self.clock = db, clock
        self.hands = Hands(db, clock)
        self.lines = io.StringIO()
        self.woken = 0
        log = Log(self.lines, clock=clock)
        crew = self.hands.crew()
        tools = Tools(db, clock, ids, log, Recorder("host-0", clock, ids), "host:1")
        self.runner = Runner(tools, [lifecycle.lifecycle(crew), device_lifecycle.lifecycle(crew)])
        self.watch = Watching(crew, self.hands.guests.known, self._wake, log)
        now = clock.now_us()
        self.hands.ports.ports["port"] = (SERVER, "here")
        self.hands.disks.disks["root"] = (GIB, "image img")
        with db.write() as tx:
            SERVERS.insert(tx, server(now, State.ACTIVE, root_disk_id="root", due_us=None))
            DEVICES.insert(tx, disk(now, "d", DeviceState.ATTACHED, boot_index=0, slot="0", disk_id="root"))
            DEVICES.insert(tx, nic(now, "n", DeviceState.ATTACHED, slot="1", port_id="port", made=True))
        self.hands.guests.ensure(guest_of(crew, self.row(), "running"))

    def _wake(self) -> None:
        self.woken += 1

    def row(self) -> Server:
        found = SERVERS.find(self.db, id=SERVER)
        assert found is not None
        return found

    def put(self, **changes: Any) -> None:
        with self.db.write() as tx:
            SERVERS.update(tx, {"id": SERVER}, **changes)

    def turn(self) -> Server:
        """A turn of the watch, then whatever work it made."""
        assert self.watch.turn() is False
        for _ in range(60):
            self.runner.settle()
            if self.row().due_us is None:
                break
            self.hands.guests.work()
            self.clock.advance(0.5)
        return self.row()

    @property
    def power(self) -> str:
        return self.hands.guests.guests[SERVER].power


@pytest.fixture
def world(db: Database, clock: FakeClock, ids: FakeIds) -> Iterator[World]:
    migrate(db, migrations())
    yield World(db, clock, ids)


def test_what_is_right_is_left_alone(world: World) -> None:
    before = world.row()
    assert world.turn() == before and world.woken == 0


def test_a_process_that_died_is_an_error_with_its_reason_and_a_hard_reboot_cures_it(world: World) -> None:
    world.hands.guests.become(SERVER, "failed")
    found = world.turn()
    assert (found.state, found.fault, found.power) == (State.ERROR, "hypervisor process ended: signal 9", "crashed")
    assert world.woken == 1
    now = world.clock.now_us()
    world.put(state=State.HARD_REBOOTING, due_us=now, since_us=now)
    assert world.turn().state == State.ACTIVE and world.power == "running"


def test_a_panic_of_the_guest_is_told(world: World) -> None:
    world.hands.guests.become(SERVER, "panicked")
    found = world.turn()
    assert (found.state, found.fault) == (State.ERROR, "guest kernel panicked")


def test_a_guest_that_powered_itself_off_is_shut_off(world: World) -> None:
    world.hands.guests.become(SERVER, "shutdown")
    assert world.turn().state == State.STOPPED and world.power == "off" and not world.hands.ports.holding


@pytest.mark.parametrize("state", [State.ACTIVE, State.PAUSED])
def test_a_host_that_rebooted_starts_what_was_running(world: World, state: str) -> None:
    world.put(state=state)
    world.hands.guests.remove(SERVER)
    assert world.turn().state == State.ACTIVE and world.power == "running"


def test_a_server_that_goes_takes_its_consoles_along(world: World) -> None:
    with world.db.write() as tx:
        for mark, of in (("a", SERVER), ("b", "another")):
            CONSOLES.insert(tx, ConsoleToken(mark, of, "p", "u", "novnc", 0, 1 << 60, False))
    now = world.clock.now_us()
    world.put(state=State.DELETING, due_us=now, since_us=now)
    world.runner.settle()
    assert world.row().state == State.DELETED
    assert [row.server_id for row in CONSOLES.select(world.db)] == ["another"]


def test_a_shelved_server_that_goes_takes_its_image_along(world: World) -> None:
    now = world.clock.now_us()
    world.hands.images.images |= {"shelved": "active 1", "made": "active 1"}
    world.put(state=State.DELETING, before=State.OFFLOADED, wish={"image_id": "shelved"}, due_us=now, since_us=now)
    world.runner.settle()
    assert world.row().state == State.DELETED
    assert list(world.hands.images.images) == ["made"]


def test_a_host_that_rebooted_rescues_again(world: World) -> None:
    now = world.clock.now_us()
    world.put(state=State.RESCUING, before=State.ACTIVE, due_us=now, since_us=now)
    assert world.turn().state == State.RESCUED and len(world.hands.guests.guests[SERVER].disks) == 2
    world.hands.guests.remove(SERVER)
    assert world.turn().state == State.RESCUED and world.power == "running"


def test_a_rescue_disk_that_is_told_where_to_stand_leaves_the_others_where_they_are(world: World) -> None:
    now = world.clock.now_us()
    told = {"image_id": "img", "image": {"properties": {"hw_rescue_device": "cdrom"}}}
    world.put(state=State.RESCUING, before=State.ACTIVE, due_us=now, since_us=now, wish=told)
    row = world.turn()
    assert row.state == State.RESCUED
    root, rescue = guest_of(world.hands.crew(), row, "running").disks
    assert (root.id, root.slot, root.boot, root.bus) == ("root", 0, 2, "virtio")
    assert (rescue.slot, rescue.boot, rescue.bus, rescue.cdrom) == (2, 1, "sata", True)
    late = replace(guest_of(world.hands.crew(), row, "running"), disks=(replace(rescue, id="late"), root))
    with pytest.raises(AssertionError, match="cannot be plugged in while it runs"):
        world.hands.guests.ensure(late)


def test_a_server_whose_resize_waits_for_a_word_runs_again_too(world: World) -> None:
    world.put(state=State.VERIFY_RESIZE, before=State.ACTIVE)
    world.hands.guests.remove(SERVER)
    assert world.turn().state == State.VERIFY_RESIZE and world.power == "running"
    world.put(before=State.STOPPED)
    world.hands.guests.remove(SERVER)
    assert world.turn().state == State.VERIFY_RESIZE and SERVER not in world.hands.guests.guests


def test_a_guest_goes_on_once_its_host_has_room(world: World) -> None:
    world.hands.guests.become(SERVER, "io-error")
    found = world.turn()
    assert (found.state, found.fault) == (State.PAUSED, "host storage full")
    world.turn()
    assert world.power == "running", "it is told to go on at every turn"
    assert world.turn().state == State.ACTIVE and not world.row().guest.get("full")


def test_a_crash_dump_is_triggered_in_the_guest(world: World) -> None:
    now = world.clock.now_us()
    world.put(state=State.CRASHING, before=State.ACTIVE, power="running", due_us=now, since_us=now)
    world.runner.settle()
    assert world.row().state == State.ACTIVE and world.hands.guests.calls[-1] == ("nmi", SERVER)


def test_devices_that_differ_are_mended_unless_something_else_is_wished(world: World) -> None:
    world.hands.guests.guests[SERVER].nics.clear()
    world.put(signals="delete")
    stale = world.row()
    world.put(signals="")
    world.watch._mend(stale)
    assert not world.hands.guests.guests[SERVER].nics
    world.turn()
    assert world.hands.guests.guests[SERVER].nics == {"port"}


def test_a_port_that_somebody_removed_takes_its_nic_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from andromede.errors import NotFound

    def gone(port_id: str) -> bool:
        raise NotFound(f"Port {port_id} could not be found.", "port")

    monkeypatch.setattr(world.hands.ports, "facts", gone)
    world.turn()
    assert world.hands.guests.guests[SERVER].nics == set() and world.row().state == State.ACTIVE
    monkeypatch.setattr(world.hands.ports, "wired", gone)
    now = world.clock.now_us()
    world.put(state=State.HARD_REBOOTING, due_us=now, since_us=now)
    assert world.turn().state == State.ACTIVE and world.power == "running"


def test_a_guest_of_no_server_is_removed(world: World) -> None:
    world.put(state=State.DELETED)
    world.turn()
    assert world.hands.guests.known() == []


def test_one_host_that_does_not_answer_keeps_nobody_else_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from andromede.errors import Unavailable

    def away(guest_id: str) -> None:
        raise Unavailable("the hypervisor process does not answer", "monitor")

    monkeypatch.setattr(world.hands.guests, "observe", away)
    world.watch.turn()
    assert "compute.watch" in world.lines.getvalue() and world.row().state == State.ACTIVE


def test_detaching_that_the_guest_does_not_grant_is_told(world: World, tmp_path: Path) -> None:
    now = world.clock.now_us()
    world.hands.volumes.add("vol")
    world.hands.volumes.volumes["vol"] = (SERVER, "")
    row = disk(now, "v", DeviceState.ATTACHED, target="volume", volume_id="vol", disk_id="vol", slot="2")
    with world.db.write() as tx:
        DEVICES.insert(tx, row)
    world.turn()
    world.hands.guests.will = False
    with world.db.write() as tx:
        DEVICES.update(tx, {"id": "v"}, state=DeviceState.DETACHING, due_us=now, since_us=now)
    for _ in range(200):
        world.runner.settle()
        world.clock.advance(1.0)
    found = DEVICES.find(world.db, id="v")
    assert found is not None and found.state == DeviceState.ATTACHED and "did not let go" in found.fault
    assert world.hands.volumes.volumes["vol"][0] == SERVER
    world.hands.guests.will = True
    now = world.clock.now_us()
    with world.db.write() as tx:
        DEVICES.update(tx, {"id": "v"}, state=DeviceState.DETACHING, due_us=now, since_us=now)
    for _ in range(5):
        world.runner.settle()
        world.clock.advance(1.0)
    assert DEVICES.find(world.db, id="v") is None and world.hands.volumes.volumes["vol"][0] == ""


def test_devices_of_a_server_that_works_wait_and_those_of_one_that_goes_end(world: World) -> None:
    now = world.clock.now_us()
    world.hands.volumes.add("vol")
    row = disk(now, "v", DeviceState.ATTACHING, target="volume", source="volume", volume_id="vol", due_us=now)
    with world.db.write() as tx:
        DEVICES.insert(tx, row)
    world.put(state=State.PAUSING, before=State.ACTIVE, due_us=None)
    world.runner.settle()
    found = DEVICES.find(world.db, id="v")
    assert found is not None and found.state == DeviceState.ATTACHING and found.due_us is not None
    world.put(state=State.DELETED)
    world.clock.advance(2)
    world.runner.settle()
    found = DEVICES.find(world.db, id="v")
    assert found is not None and found.state == DeviceState.ERROR and "deleted" in found.fault


def test_an_attach_that_takes_too_long_is_taken_back(world: World) -> None:
    now = world.clock.now_us()
    row = disk(now, "v", DeviceState.ATTACHING, target="volume", source="volume", volume_id="vol", due_us=now)
    with world.db.write() as tx:
        DEVICES.insert(tx, row)
        actions.begin(tx, world.row(), ("req-1", "p", "u"), "attach_volume", now)
    world.runner.settle()
    world.hands.volumes.volumes["vol"] = (SERVER, "")
    world.hands.volumes.ready = lambda volume_id: False  # type: ignore[method-assign]
    world.clock.advance(301)
    world.runner.settle()
    assert DEVICES.find(world.db, id="v") is None and world.hands.volumes.volumes["vol"][0] == ""
    (action,) = ACTIONS.select(world.db)
    assert action.message == "Error" and action.finish_us
    assert [event.result for event in EVENTS.select(world.db)] == ["Error", "Success"]


def test_a_detach_is_never_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from andromede.errors import Unavailable

    def away(guest: object) -> None:
        raise Unavailable("the hypervisor process does not answer", "monitor")

    now = world.clock.now_us()
    world.hands.volumes.add("vol")
    world.hands.volumes.volumes["vol"] = (SERVER, "")
    row = disk(now, "v", DeviceState.DETACHING, target="volume", volume_id="vol", disk_id="vol", slot="2", due_us=now)
    with world.db.write() as tx:
        DEVICES.insert(tx, row)
    with monkeypatch.context() as patched:
        patched.setattr(world.hands.guests, "ensure", away)
        for _ in range(4):
            world.runner.settle()
            world.clock.advance(1800)
    found = DEVICES.find(world.db, id="v")
    assert found is not None and found.state == DeviceState.DETACHING and "does not answer" in found.fault
    assert "work.deadline" in world.lines.getvalue()
    world.runner.settle()
    assert DEVICES.find(world.db, id="v") is None and world.hands.volumes.volumes["vol"][0] == ""


def test_a_volume_that_can_never_be_attached_is_refused(world: World) -> None:
    now = world.clock.now_us()
    world.hands.volumes.broken.add("vol")
    row = disk(now, "v", DeviceState.ATTACHING, target="volume", source="volume", volume_id="vol", due_us=now)
    with world.db.write() as tx:
        DEVICES.insert(tx, row)
    world.runner.settle()
    world.runner.settle()
    found = DEVICES.find(world.db, id="v")
    assert found is not None and (found.state, found.fault) == (DeviceState.ERROR, "volume vol is in error")
