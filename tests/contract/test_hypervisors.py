"""One contract for every hypervisor: the twin in memory, and QEMU. The latter needs root and QEMU, and guests that boot
nothing are enough for it; what needs a guest that answers stands in the tests of whole installations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from andromede.compute.engine import Copy, DiskDevice, Guest, Hypervisor, NicDevice, Observed, Signal
from andromede.engines.memory_guests import MemoryGuests
from andromede.errors import Conflict
from tests.support.qemu import IDS, MIB, Rig, needs_qemu, rig, until


@dataclass
class Bench:
    """A hypervisor with disks for it."""

    guests: Any
    rig: Rig | None

    def disk(self, size: int = 32 * MIB) -> str:
        return self.rig.disk(size) if self.rig else IDS.dashed()

    def guest(self, *disks: str, **more: Any) -> Guest:
        devices = tuple(
            DiskDevice(disk, at, disk[:20], int(at == 0), size_bytes=32 * MIB) for at, disk in enumerate(disks)
        )
        return Guest(disks=devices, **{"id": IDS.dashed(), "power": "running", "vcpus": 1, "memory_mb": 64} | more)

    def reach(self, guest: Guest) -> Observed:
        """Steps until it fits, as a lifecycle takes them."""

        def fits() -> bool:
            self.guests.ensure(guest)
            seen = self.guests.observe(guest.id)
            return seen is not None and seen.fits(guest)

        assert until(fits), self.guests.observe(guest.id)
        seen = self.guests.observe(guest.id)
        assert seen is not None
        return seen


@pytest.fixture(params=["memory", pytest.param("qemu", marks=needs_qemu)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "memory":
        yield Bench(MemoryGuests(), None)
        return
    with rig() as made:
        yield Bench(made.qemu, made)


def test_a_guest_comes_goes_and_leaves_nothing(bench: Bench) -> None:
    guest = bench.guest(bench.disk())
    assert bench.guests.observe(guest.id) is None
    seen = bench.reach(guest)
    assert (seen.power, set(seen.disks)) == ("running", {guest.disks[0].id}) and seen.pid and seen.uid
    again = bench.reach(guest)
    assert again.pid == seen.pid, "what is there is left alone"
    off = bench.reach(replace(guest, power="off"))
    assert (off.power, off.disks, off.pid) == ("off", {}, 0)
    bench.guests.ensure(replace(guest, power="off"))
    assert bench.reach(guest).pid != seen.pid
    bench.guests.remove(guest.id)
    bench.guests.remove(guest.id)
    assert bench.guests.observe(guest.id) is None and bench.guests.known() == []


def test_processors_stand_still_and_go_on(bench: Bench) -> None:
    guest = bench.guest(bench.disk())
    pid = bench.reach(guest).pid
    assert bench.reach(replace(guest, power="paused")).power == "paused"
    assert bench.reach(guest).pid == pid


def test_memory_is_kept_while_a_guest_is_suspended(bench: Bench) -> None:
    guest = bench.guest(bench.disk())
    bench.reach(guest)
    assert bench.reach(replace(guest, power="suspended")).pid == 0
    bench.guests.ensure(replace(guest, power="suspended"))
    assert bench.reach(guest).power == "running"
    bench.reach(replace(guest, power="suspended"))
    assert bench.reach(replace(guest, power="off")).power == "off", "a stop gives the memory up"


def test_disks_are_plugged_into_a_guest_that_runs_and_grow(bench: Bench) -> None:
    guest = bench.guest(bench.disk())
    bench.reach(guest)
    more = replace(guest, disks=(*guest.disks, DiskDevice(bench.disk(), 5, "second", size_bytes=32 * MIB)))
    assert set(bench.reach(more).disks) == {disk.id for disk in more.disks}
    grown = replace(more, disks=(guest.disks[0], replace(more.disks[1], size_bytes=48 * MIB)))
    assert bench.reach(grown).disks[more.disks[1].id] == 48 * MIB


@pytest.mark.parametrize(
    ("bus", "cdrom"),
    [("virtio", False), ("scsi", False), ("scsi", True), ("usb", False), ("sata", False), ("ide", True)],
)
def test_a_disk_stands_on_another_bus_from_the_start(bench: Bench, bus: str, cdrom: bool) -> None:
    guest = bench.guest(bench.disk())
    root = replace(guest.disks[0], boot=2)
    other = DiskDevice(bench.disk(), 5, "rescue", 1, size_bytes=32 * MIB, bus=bus, cdrom=cdrom)
    seen = bench.reach(replace(guest, disks=(root, other)))
    assert seen.disks == {root.id: 32 * MIB, other.id: 32 * MIB}


def test_a_copy_is_made_while_the_guest_runs(bench: Bench) -> None:
    root, target = bench.disk(), bench.disk()
    guest = bench.guest(root)
    bench.reach(guest)
    job = Copy("copy-1", ((root, target),))
    bench.guests.copy(guest.id, job)
    bench.guests.copy(guest.id, job)

    def concluded() -> bool:
        if isinstance(bench.guests, MemoryGuests):
            bench.guests.work()
        seen = bench.guests.observe(guest.id)
        return [(one.id, one.concluded, one.error) for one in seen.jobs] == [("copy-1", True, "")]

    assert until(concluded)
    bench.guests.ensure(guest)
    assert concluded(), "a step towards devices leaves a copy alone"
    bench.guests.copy(guest.id, replace(job, dismiss=True))
    bench.guests.copy(guest.id, replace(job, dismiss=True))
    assert bench.guests.observe(guest.id).jobs == ()
    assert bench.reach(guest).disks.keys() == {root}
    job = replace(job, top=True)
    bench.guests.copy(guest.id, job)
    assert until(concluded)
    bench.guests.copy(guest.id, Copy(job.id, (), dismiss=True))  # by somebody who knows its name only
    assert bench.guests.observe(guest.id).jobs == ()
    if bench.rig:
        assert not bench.rig.engine.observe(target).in_use, "the guest has let go of the copy"
    with pytest.raises(Conflict):
        bench.guests.copy(guest.id, Copy("copy-2", ((IDS.dashed(), target),)))


def test_signals_are_for_guests_that_run(bench: Bench) -> None:
    guest = bench.guest(bench.disk())
    with pytest.raises(Conflict):
        bench.guests.signal(guest.id, Signal("powerdown"))
    with pytest.raises(Conflict):
        bench.guests.copy(guest.id, Copy("c", ()))
    bench.reach(guest)
    for verb in ("reset", "nmi", "link-up", "link-down"):
        bench.guests.signal(guest.id, Signal(verb, "no port"))  # type: ignore[arg-type]
    assert bench.guests.observe(guest.id).power == "running"
    assert bench.guests.screenshot(guest.id).startswith(b"\x89PNG")
    figures = bench.guests.figures(guest.id)
    assert figures.memory_mb >= 64 and set(figures.disks) == {guest.disks[0].id} and len(figures.cpu_ns) == 1


def test_the_twin_polices_its_callers() -> None:
    twin: Hypervisor = MemoryGuests(lambda port: False)
    root = DiskDevice("d", 0, "d")
    guest = Guest("g", "running", 1, 64, (root,))
    with pytest.raises(AssertionError, match="carries packets"):
        twin.ensure(replace(guest, nics=(NicDevice("p", 1, "mac"),)))
    with pytest.raises(AssertionError, match="one slot"):
        twin.ensure(replace(guest, disks=(root, replace(root, id="e"))))
    with pytest.raises(AssertionError, match="anything to boot"):
        twin.ensure(replace(guest, disks=()))
    twin.ensure(guest)
    with pytest.raises(AssertionError, match="two guests"):
        twin.ensure(replace(guest, id="h"))
    twin.ensure(replace(guest, power="suspended"))
    with pytest.raises(AssertionError, match="other devices"):
        twin.ensure(replace(guest, disks=(replace(root, id="e"),)))
