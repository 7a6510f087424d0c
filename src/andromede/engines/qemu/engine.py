"""The hypervisor: one QEMU process for each guest, found by looking and used level-triggered."""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from andromede.clock import Clock
from andromede.compute.engine import Copy, Figures, Guest, Observed, Open, Plug, Signal
from andromede.engines.qemu import command, copying, saving, spawn, viewing
from andromede.engines.qemu.accelerator import Accelerator
from andromede.engines.qemu.cgroups import Cgroups
from andromede.engines.qemu.drive import iso
from andromede.engines.qemu.observing import found
from andromede.engines.qemu.place import Place, Record
from andromede.engines.qemu.plugging import Plugging, forget_all, sizes
from andromede.engines.qemu.qmp import Monitor
from andromede.errors import Conflict, Error, Unavailable
from andromede.ids import Ids

OVERHEAD_MB = 64 + 128
"""What a guest costs beside its memory: QEMU itself and the cache of translated code."""
_QUIT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_LOAD_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Sources:
    """What guests are made from. `image`: image id -> its plain bytes, for kernels that are booted directly; `secret`:
    disk id -> its passphrase."""

    open: Open
    plug: Plug
    image: Callable[[str], BinaryIO]
    secret: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Seat:
    """Where this host's guests live. `runtime`: a short path, for sockets; `states`: memory of suspended guests;
    `uids`: shared by all installations of the machine."""

    runtime: Path
    states: Path
    uids: Path
    accelerator: Callable[[], Accelerator]
    cgroups: Cgroups


class QemuHypervisor:
    """`andromede.compute.engine.Hypervisor` for this machine."""

    def __init__(self, seat: Seat, sources: Sources, clock: Clock, ids: Ids) -> None:
        self.seat = seat
        self._sources = sources
        self._clock = clock
        self._ids = ids
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)

    def place(self, guest_id: str) -> Place:
        """The guest's folder."""
        return Place(self.seat.runtime / guest_id)

    def state(self, guest_id: str) -> Path:
        """Where its memory lies while it is suspended."""
        return self.seat.states / f"{guest_id}.memory"

    def known(self) -> list[str]:
        """Guests that have something on this host."""
        there = [entry.name for entry in self.seat.runtime.glob("*") if entry.is_dir()]
        return sorted({*there, *(entry.stem for entry in self.seat.states.glob("*.memory"))})

    def ensure(self, guest: Guest) -> None:
        """Take a step towards what is wished."""
        with self._locks[guest.id]:
            place, live = self.place(guest.id), self.live(guest.id)
            if guest.power == "off":
                self._end(guest.id, place, live)
                self.state(guest.id).unlink(missing_ok=True)
            elif guest.power == "suspended":
                if live is not None:
                    self._suspend(guest, place, live)
            elif live is None:
                self._start(guest, place)
            else:
                self._tend(guest, place, live)

    def remove(self, guest_id: str) -> None:
        """End the guest at once and remove what it left."""
        with self._locks[guest_id]:
            place = self.place(guest_id)
            self._end(guest_id, place, self.live(guest_id))
            self.state(guest_id).unlink(missing_ok=True)
            self.state(guest_id).with_suffix(".new").unlink(missing_ok=True)
            place.remove(self.seat.uids)

    def observe(self, guest_id: str) -> Observed | None:
        """What is true now."""
        with self._locks[guest_id]:
            place, live = self.place(guest_id), self.live(guest_id)
            if live is not None:
                with self.monitor(place, live) as monitor:
                    return found(monitor, live)
            if self.state(guest_id).exists():
                return Observed("suspended")
            record = place.record()
            if record is None:
                return None
            if record.ended or not (record.pid or place.exit_status(record.uid) is not None):
                return Observed("off", uid=record.uid)
            if self.seat.cgroups.killed(guest_id):
                return Observed("failed", "hypervisor process ended: out of memory", uid=record.uid)
            status = place.exit_status(record.uid)
            tail = place.tail() if status not in (None, 137) else ""
            return Observed("failed", spawn.ended(status) + (f" ({tail})" if tail else ""), uid=record.uid)

    def signal(self, guest_id: str, what: Signal) -> None:
        """Do something once."""
        with self._running(guest_id) as monitor:
            if what.verb == "powerdown":
                if monitor.status() == "running":
                    monitor.run("system_powerdown")
            elif what.verb == "reset":
                self._reset(monitor)
            elif what.verb == "nmi":
                monitor.run("inject-nmi")
            else:
                name = command.nic_name(what.device)
                if name in monitor.devices():
                    monitor.run("set_link", {"name": name, "up": what.verb == "link-up"})

    def copy(self, guest_id: str, job: Copy) -> None:
        """Begin a copy, or forget one that has concluded."""
        with self._running(guest_id) as monitor:
            if job.dismiss:
                copying.dismiss(monitor, job)
            else:
                copying.begin(monitor, job, self._sources.open)

    def grow(self, guest_id: str, disk_id: str, size: int) -> bool:
        """Whether the guest sees at least `size` bytes of a disk; asks for it if not."""
        with self._running(guest_id) as monitor:
            seen = sizes(monitor).get(disk_id)
            if seen is None:
                raise Conflict(f"disk {disk_id} is not attached to server {guest_id}", "disk")
            if seen < size:
                monitor.patient("block_resize", {"node-name": command.node_name(disk_id), "size": size})
            return sizes(monitor).get(disk_id, 0) >= size

    def console(self, guest_id: str, lines: int | None) -> str:
        """The end of the serial console's log."""
        return viewing.console(self.place(guest_id), lines)

    def trim(self) -> None:
        """Keep every console's log within its limit."""
        for guest_id in self.known():
            viewing.trim(self.place(guest_id))

    def screenshot(self, guest_id: str) -> bytes:
        """The display as PNG."""
        with self._running(guest_id) as monitor:
            live = self.live(guest_id)
            return viewing.screenshot(monitor, self.place(guest_id), live.uid if live else 0)

    def figures(self, guest_id: str) -> Figures:
        """Counters."""
        with self._running(guest_id) as monitor:
            live = self.live(guest_id)
            if live is None:
                raise Conflict(f"server {guest_id} does not run; start it first", "power")
            return viewing.figures(monitor, live, {port: {} for port in live.nets})

    def live(self, guest_id: str) -> Record | None:
        """The guest's process, if it runs."""
        place = self.place(guest_id)
        record = place.record()
        return place.process(record) if record is not None else None

    def monitor(self, place: Place, live: Record) -> Monitor:
        """A connection to the guest's monitor."""
        return Monitor(place.qmp, live.uid)

    @contextmanager
    def _running(self, guest_id: str) -> Iterator[Monitor]:
        with self._locks[guest_id]:
            live = self.live(guest_id)
            if live is None:
                raise Conflict(f"server {guest_id} does not run; start it first", "power")
            with self.monitor(self.place(guest_id), live) as monitor:
                yield monitor

    def _end(self, guest_id: str, place: Place, live: Record | None) -> None:
        record = place.record()
        if record is not None and not record.ended:
            place.write(replace(live or record, ended=True))
        if live is not None:
            with suppress(Error), self.monitor(place, live) as monitor:
                monitor.run("quit")
            if not spawn.wait(live.pid, _QUIT_SECONDS):
                spawn.kill(live.pid, live.uid, live.started)
                if not spawn.wait(live.pid, _QUIT_SECONDS):
                    raise Unavailable("the hypervisor process does not end", "quit", cause=f"pid {live.pid}")
        self.seat.cgroups.remove(guest_id)

    def _start(self, guest: Guest, place: Place) -> None:
        record = place.prepare(self.seat.uids)
        accelerator = self.seat.accelerator()
        line = command.begin(guest, accelerator, place)
        pump = None
        try:
            self._kernel(line, guest, place, record)
            for disk in guest.disks:
                command.add_disk(line, disk, self._sources.open(disk.id))
            for nic in guest.nics:
                command.add_nic(line, nic, self._sources.plug(nic.id))
            if guest.documents:
                command.add_drive(line, iso(guest.documents))
            if self.state(guest.id).exists():
                secret = self._secret(guest)
                reading, writing = os.pipe2(os.O_CLOEXEC)
                line.add("-incoming", f"fd:{line.take(reading)}")
                pump = saving.opening(self.state(guest.id), writing, secret, guest.id)
            record = place.write(replace(record, nets=[nic.id for nic in guest.nics]))
            spawn.spawn(line, place, record.uid, accelerator.name == "kvm")
        except Exception:
            if pump is not None:
                pump.abandon()
            raise
        finally:
            line.close()
        if pump is not None:
            pump.start()
        self._await(place, record)
        live = place.process(record)
        if live is None:
            raise Error(f"the guest could not be started: {place.tail() or 'its process ended'}", "spawn")
        for name in ("kernel", "initrd"):
            (place.sockets / name).unlink(missing_ok=True)
        self._tend(guest, place, live)

    def _kernel(self, line: command.Line, guest: Guest, place: Place, record: Record) -> None:
        """Copies of kernel and ramdisk for as long as QEMU needs to read them."""
        if guest.kernel is None:
            return
        names = [("kernel", "-kernel", guest.kernel.kernel_id), ("initrd", "-initrd", guest.kernel.ramdisk_id)]
        for name, option, image in names:
            if image:
                with self._sources.image(image) as source, open(place.sockets / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                    os.fchown(target.fileno(), record.uid, record.uid)
                line.add(option, str(place.sockets / name))
        line.add("-append", guest.kernel.command_line or "console=ttyS0")

    def _await(self, place: Place, record: Record) -> None:
        """Until the process answers. Raises what it said when it ended instead."""
        until = self._clock.monotonic() + _ANSWER_SECONDS
        while True:
            live = place.process(record)
            if live is not None and place.qmp.exists():
                with suppress(Unavailable), self.monitor(place, live):
                    return
            if place.exit_status(record.uid) is not None:
                place.write(replace(record, ended=True))
                raise Error(f"the guest could not be started: {place.tail() or 'its process ended'}", "spawn")
            if self._clock.monotonic() > until:
                raise Unavailable("the hypervisor process does not answer", "spawn", cause=place.tail())
            self._clock.sleep(0.01)

    def _tend(self, guest: Guest, place: Place, live: Record) -> None:
        """A step of a guest whose process runs."""
        with self.monitor(place, live) as monitor:
            status = monitor.status()
            if status in ("prelaunch", "inmigrate"):
                self._loaded(monitor, place, live)
                forget_all(monitor)
                self.seat.cgroups.admit(guest.id, live.pid, guest.vcpus, guest.memory_mb + OVERHEAD_MB)
                for nic in guest.nics:
                    if not nic.up:
                        monitor.run("set_link", {"name": command.nic_name(nic.id), "up": False})
                self.state(guest.id).unlink(missing_ok=True)
                if guest.power == "running":
                    monitor.run("cont")
                return
            if status == "shutdown":
                self._end(guest.id, place, live)
                return
            if Plugging(monitor, place, live).step(guest, self._sources.open, self._sources.plug):
                return
            if guest.power == "running" and status in ("paused", "io-error", "postmigrate"):
                monitor.run("cont")
            elif guest.power == "paused" and status == "running":
                monitor.run("stop")

    def _loaded(self, monitor: Monitor, place: Place, live: Record) -> None:
        """Until a resumed guest has its memory."""
        until = self._clock.monotonic() + _LOAD_SECONDS
        while monitor.status() == "inmigrate":
            if self._clock.monotonic() > until or place.process(live) is None:
                raise Unavailable("the guest's memory is not loaded", "resume", cause=place.tail())
            self._clock.sleep(0.02)

    def _suspend(self, guest: Guest, place: Place, live: Record) -> None:
        state = self.state(guest.id)
        with self.monitor(place, live) as monitor:
            if monitor.status() != "postmigrate" or not state.exists():
                self._save(guest, monitor, state)
        place.write(replace(live, ended=True))
        self._end(guest.id, place, live)

    def _save(self, guest: Guest, monitor: Monitor, state: Path) -> None:
        state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if monitor.status() == "postmigrate":  # the file of an earlier try was not completed
            monitor.run("cont")
        monitor.run("stop")
        secret, new = self._secret(guest), state.with_suffix(".new")
        reading, writing = os.pipe2(os.O_CLOEXEC)
        pump = saving.sealing(reading, new, secret, self._ids.secret(32), guest.id)
        try:
            monitor.run("getfd", {"fdname": "memory"}, fd=writing)
        except Exception:
            pump.abandon()
            raise
        finally:
            os.close(writing)
        pump.start()
        monitor.run("migrate-set-parameters", {"max-bandwidth": 1 << 40})
        monitor.run("migrate", {"uri": "fd:memory"})
        until = self._clock.monotonic() + _LOAD_SECONDS
        while (told := monitor.run("query-migrate"))["status"] not in ("completed", "failed", "cancelled"):
            if self._clock.monotonic() > until:
                monitor.run("migrate_cancel")
            self._clock.sleep(0.02)
        pump.join(_ANSWER_SECONDS)
        if told["status"] != "completed" or pump.failure is not None or pump.is_alive():
            raise Unavailable("the guest's memory could not be saved", "suspend", cause=repr(pump.failure or told))
        os.replace(new, state)  # only now: what a process that died had sent ends just like the whole

    def _secret(self, guest: Guest) -> bytes:
        """What the guest's memory is kept under: the passphrase of its first disk."""
        if not guest.disks:
            raise Conflict(f"server {guest.id} has no disk whose key could keep its memory", "suspend")
        return self._sources.secret(guest.disks[0].id)

    def _reset(self, monitor: Monitor) -> None:
        """Also of a guest that powered itself off: its process is used again."""
        was = monitor.status()
        monitor.run("system_reset")
        if was == "running":
            return
        for _ in range(200):
            if monitor.status() not in ("shutdown", "guest-panicked", "internal-error"):
                monitor.run("cont")
                return
            self._clock.sleep(0.01)
        raise Unavailable("the guest has not been reset yet", "reset")
