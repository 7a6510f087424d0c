"""The parts of the QEMU engine that need no QEMU: command line, places, memory files, logs, the monitor's protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from andromede.compute.engine import DISK_COUNTERS, DiskDevice, Guest, Layer, NicDevice
from andromede.engines.qemu import accelerator, command, observing, place, saving, spawn, viewing
from andromede.engines.qemu.accelerator import Accelerator, choose
from andromede.engines.qemu.cgroups import Cgroups
from andromede.engines.qemu.drive import iso
from andromede.engines.qemu.place import Place, Record, boot_id, give_uid, start_of, take_uid
from andromede.engines.qemu.qmp import Monitor, Refused
from andromede.errors import Fatal, Invalid, NoCapacity, Unavailable
from tests.support.qemu import until

TCG = Accelerator("tcg", "test", "QEMU emulator version 7.2.22")
GUEST = Guest("6f5902ac-2378-49c9-a1a0-000000000001", "running", 2, 512)
SECRET = b"c2VjcmV0IG9mIHRoZSBkaXNrIHRoYXQgbm9ib2R5IHNlZXM="


def _fd(path: Path) -> int:
    path.write_bytes(b"x")
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def test_no_secret_and_no_path_of_a_disk_stand_on_the_command_line(tmp_path: Path) -> None:
    there = Place(tmp_path)
    line = command.begin(GUEST, TCG, there)
    layers = [Layer(_fd(tmp_path / "top.qcow2"), "qcow2", True, SECRET), Layer(_fd(tmp_path / "base"), writable=False)]
    command.add_disk(line, DiskDevice("6f5902ac-0000-4000-8000-00000000000d", 3, "serial", 1), layers)
    command.add_nic(line, NicDevice("port", 4, "fa:16:3e:00:00:01", 1400), _fd(tmp_path / "tap"))
    command.add_drive(line, b"iso")
    text = " ".join(line.argv)
    assert SECRET.decode() not in text and "top.qcow2" not in text and "tap" not in text.replace("-netdev tap", "")
    assert "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny" in text
    assert "virtio-blk-pci,bus=rp3,drive=d0-6f5902ac0000400080000000," in text and "bootindex=1" in text
    assert "virtio-net-pci,bus=rp4" in text and "host_mtu=1400" in text and "serial=config-2" in text
    assert text.count("pcie-root-port") == 16 and "-S -no-shutdown" in text and "-smp 2," in text
    nodes = [json.loads(word) for before, word in zip(line.argv, line.argv[1:], strict=False) if before == "-blockdev"]
    assert [node["node-name"] for node in nodes[:4]] == [
        "f1-6f5902ac0000400080000000", "d1-6f5902ac0000400080000000",
        "f0-6f5902ac0000400080000000", "d0-6f5902ac0000400080000000",
    ]  # fmt: skip
    assert nodes[1]["read-only"] and nodes[1]["backing"] is None and nodes[3]["backing"] == nodes[1]["node-name"]
    assert all(len(node["node-name"]) <= 31 for node in nodes)
    held = list(line.fds)
    line.close()
    for fd in held:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.parametrize(
    ("bus", "cdrom", "told"),
    [
        ("scsi", False, "virtio-scsi-pci,id=c3,bus=rp3 -device scsi-hd,bus=c3.0,"),
        ("scsi", True, "virtio-scsi-pci,id=c3,bus=rp3 -device scsi-cd,bus=c3.0,"),
        ("usb", False, "qemu-xhci,id=c3,bus=rp3 -device usb-storage,bus=c3.0,"),
        ("sata", True, "-device ide-cd,bus=ide.0,"),
        ("ide", False, "-device ide-hd,bus=ide.0,"),
    ],
)
def test_a_rescue_disk_stands_where_its_image_says(bus: str, cdrom: bool, told: str, tmp_path: Path) -> None:
    line = command.begin(GUEST, TCG, Place(tmp_path))
    disk = DiskDevice("6f5902ac-0000-4000-8000-00000000000d", 3, "serial", 1, bus=bus, cdrom=cdrom)
    command.add_disk(line, disk, [Layer(_fd(tmp_path / "top.qcow2"), "qcow2", True, SECRET)])
    line.close()
    text = " ".join(line.argv)
    assert told in text and text.endswith("bootindex=1")
    assert ("werror=stop" in text) is not cdrom


def test_kinds_of_layers() -> None:
    raw = command.image("d", 0, Layer(0, "raw", True, SECRET), True)
    assert raw["driver"] == "raw" and "backing" not in raw and raw["key-secret"] == command.key_name("d", 0)
    plain = command.image("d", 1, Layer(0, "qcow2", False), True)
    assert "encrypt" not in plain and plain["read-only"] is True


@pytest.mark.parametrize(
    ("guest", "told"),
    [
        (Guest("g", "running", 1, 64, (DiskDevice("a", 1, ""), DiskDevice("b", 1, ""))), "slots"),
        (Guest("g", "running", 1, 64, (DiskDevice("a", 16, ""),)), "slots"),
        (Guest("g", "running", 1, 64, firmware="uefi"), "firmware uefi"),
    ],
)
def test_what_is_not_started(guest: Guest, told: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=told):
        command.begin(guest, TCG, Place(tmp_path))


def test_accelerators_are_chosen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(accelerator, "version", lambda: "QEMU emulator version 9")
    monkeypatch.setattr(accelerator, "_kvm", lambda: asked.append("kvm") or "no such luck")
    kept = tmp_path / "accelerator"
    assert choose("tcg", kept).name == "tcg" and not asked
    first, second = choose("auto", kept), choose("auto", kept)
    assert first == second and first.name == "tcg" and first.why == "no such luck" and asked == ["kvm"]
    with pytest.raises(Unavailable, match="no such luck"):
        choose("kvm", kept)
    kept.write_text("{")
    monkeypatch.setattr(accelerator, "_kvm", lambda: "")
    assert choose("kvm", kept).arguments == ["-accel", "kvm", "-cpu", "host"]
    assert "tcg,thread=multi,tb-size=128" in TCG.arguments


def test_uids_are_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uids = tmp_path / "uids"
    one = take_uid(uids, "one")
    assert take_uid(uids, "one") == one >= 0x7000_0000
    give_uid(uids, one, "two")
    assert (uids / str(one)).exists(), "only its holder gives a uid back"
    monkeypatch.setattr(place, "UIDS", 2)
    assert {take_uid(tmp_path / "few", name) - 0x7000_0000 for name in ("x1", "x2")} == {0, 1}
    with pytest.raises(NoCapacity):
        take_uid(tmp_path / "few", "x3")
    give_uid(tmp_path / "few", 0x7000_0001, "x1"), give_uid(tmp_path / "few", 0x7000_0001, "x2")
    assert take_uid(tmp_path / "few", "x3") == 0x7000_0001


def test_records_are_of_this_run_of_the_machine(tmp_path: Path) -> None:
    there = Place(tmp_path / "g")
    assert there.record() is None
    there.folder.mkdir()
    kept = there.write(Record(os.getuid(), boot_id(), nets=["p"]))
    assert there.record() == kept and there.folder.joinpath("record").stat().st_mode & 0o777 == 0o600
    there.write(Record(5, "another boot"))
    assert there.record() is None
    (there.folder / "record").write_text("{")
    assert there.record() is None


def test_a_process_is_the_guests_by_uid_pid_and_start(tmp_path: Path) -> None:
    there = Place(tmp_path / "g")
    there.sockets.mkdir(parents=True)
    record = there.write(Record(os.getuid(), boot_id()))
    assert there.process(record) is None, "nothing was started"
    (there.sockets / "pid").write_text(f"{os.getpid()}\n")
    live = there.process(record)
    assert live is not None and live.pid == os.getpid() and there.process(live) == live
    assert there.process(Record(os.getuid(), boot_id(), os.getpid(), "1")) is None, "the pid was given to another"
    assert start_of(os.getpid(), os.getuid() + 1) == "" and start_of(2**22 + 1, 0) == ""


def test_files_of_a_guest_lead_nowhere_else(tmp_path: Path) -> None:
    there = Place(tmp_path / "g")
    there.sockets.mkdir(parents=True)
    (tmp_path / "other").write_text("137")
    (there.sockets / "exit").symlink_to(tmp_path / "other")
    assert there.exit_status(os.getuid()) is None
    (there.sockets / "exit").unlink()
    (there.sockets / "exit").write_text("137\n")
    assert there.exit_status(os.getuid()) == 137 and there.exit_status(os.getuid() + 1) is None
    os.mkfifo(there.sockets / "pid")
    assert there.read("pid", os.getuid()) == "" and there.tail() == ""
    there.log.write_text("one\ntwo\n")
    assert there.tail() == "two"


@pytest.mark.skipif(os.geteuid() != 0, reason="a process of another user needs root")
@pytest.mark.parametrize("anew", [False, True])
def test_a_status_that_comes_late_is_not_that_of_the_next_start(tmp_path: Path, anew: bool) -> None:
    there = Place(tmp_path / "g")
    there.sockets.mkdir(parents=True)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    line = command.Line(["/bin/sh", "-c", f"echo $PPID >{tmp_path}/shell; cat {gate}; exit 3"])
    spawn.spawn(line, there, 0, kvm=False)
    assert until(lambda: (tmp_path / "shell").exists() and (tmp_path / "shell").read_text().endswith("\n"))
    if anew:
        shutil.rmtree(there.sockets)
        there.sockets.mkdir()
    gate.write_text("")
    assert spawn.wait(int((tmp_path / "shell").read_text()), 10.0)
    assert there.exit_status(0) == (None if anew else 3) and there.log.read_text() == ""


def test_a_status_written_while_its_folder_goes_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, uids, remove = Place(tmp_path / "g"), tmp_path / "uids", shutil.rmtree
    turns: list[Path] = []

    def late(folder: Path, ignore_errors: bool) -> None:
        turns.append(folder)
        if len(turns) % 2:
            (there.sockets / "exit").write_text("0\n")
        else:
            remove(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(os, "chown", lambda *_: None)
    uid = there.prepare(uids).uid
    monkeypatch.setattr(place.shutil, "rmtree", late)
    assert there.prepare(uids).uid == uid and list(there.sockets.iterdir()) == []
    there.remove(uids)
    assert not there.folder.exists() and len(turns) == 4 and list(uids.iterdir()) == []


def test_ends_are_told_in_words() -> None:
    assert spawn.ended(137) == "hypervisor process ended: signal 9"
    assert spawn.ended(1) == "hypervisor process ended: status 1"
    assert "ended" in spawn.ended(None)


def _pumped(content: bytes, target: Path) -> None:
    reading, writing = os.pipe()
    pump = saving.sealing(reading, target, SECRET, b"s" * 32, "guest")
    pump.start()
    view = memoryview(content)
    while view:
        view = view[os.write(writing, view) :]
    os.close(writing)
    pump.join(10)
    assert pump.failure is None


@pytest.mark.parametrize("size", [0, 1, saving.FRAME - 1, saving.FRAME, saving.FRAME + 1, 3 * saving.FRAME])
def test_memory_comes_back_and_is_not_there_in_clear(size: int, tmp_path: Path) -> None:
    content = (b"plain memory of a tenant " * (size // 25 + 1))[:size]
    _pumped(content, tmp_path / "g.memory")
    assert b"plain memory" not in (tmp_path / "g.memory").read_bytes()
    assert b"".join(saving.frames(tmp_path / "g.memory", SECRET, "guest")) == content
    reading, writing = os.pipe()
    pump = saving.opening(tmp_path / "g.memory", writing, SECRET, "guest")
    pump.start()
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == content
    pump.join(10)
    assert pump.failure is None


def test_a_pump_that_is_not_started_leaves_no_descriptor(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    saving.sealing(reading, tmp_path / "g.new", SECRET, b"s" * 32, "guest").abandon()
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)
    assert not (tmp_path / "g.new").exists()


def test_memory_that_was_changed_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "g.memory"
    _pumped(b"m" * (2 * saving.FRAME + 5), kept)
    whole = kept.read_bytes()
    frame = 4 + saving.FRAME + 16
    damages = {
        "another magic": b"X" + whole[1:], "short": whole[:20], "cut in a frame": whole[:-3],
        "cut at a frame": whole[: 40 + 2 * frame], "a flipped bit": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "frames exchanged": whole[:40] + whole[40 + frame : 40 + 2 * frame] + whole[40 : 40 + frame] + whole[-25:],
        "too long a frame": whole[:40] + b"\xff" * 8,
    }  # fmt: skip
    for name, bad in damages.items():
        kept.write_bytes(bad)
        with pytest.raises(Fatal):
            b"".join(saving.frames(kept, SECRET, "guest"))
            pytest.fail(name)
    kept.write_bytes(whole)
    with pytest.raises(Fatal, match="damaged"):
        b"".join(saving.frames(kept, SECRET, "another guest"))
    reading, writing = os.pipe()
    kept.write_bytes(whole[:-3])
    pump = saving.opening(kept, writing, SECRET, "guest")
    pump.start()
    with os.fdopen(reading, "rb") as pipe:
        pipe.read()
    pump.join(10)
    assert isinstance(pump.failure, Fatal)


def test_a_config_drive_holds_its_documents() -> None:
    import io

    import pycdlib

    documents = {"openstack/latest/meta_data.json": b"{}", "openstack/latest/user_data": b"#!", "ec2/latest/x": b"y"}
    disc = pycdlib.PyCdlib()
    disc.open_fp(io.BytesIO(iso(documents)))
    for path, content in documents.items():
        found = io.BytesIO()
        disc.get_file_from_iso_fp(found, rr_path=f"/{path}")
        assert found.getvalue() == content
    assert disc.pvd.volume_identifier.decode().strip() == "config-2"
    disc.close()


def test_a_console_that_grows_is_cut(tmp_path: Path) -> None:
    there = Place(tmp_path)
    assert viewing.console(there, None) == "" and not viewing.trim(there)
    there.console.write_bytes(b"first\n" + b"x" * viewing.MOST + b"\nlast\n")
    assert viewing.trim(there) and there.console.stat().st_size == 0 and not viewing.trim(there)
    with open(there.console, "ab") as log:
        log.write(b"more\n")
    whole = viewing.console(there, None)
    assert whole.endswith("\nlast\nmore\n") and len(whole) == viewing.MOST and "first" not in whole
    assert viewing.console(there, 2) == "last\nmore\n" and viewing.console(there, 0) == ""


def test_limits_of_the_kernel_where_there_are_any(tmp_path: Path) -> None:
    without = Cgroups("a", tmp_path / "none")
    assert "no cgroup v2" in without.why
    without.admit("g", 1, 1, 64)
    assert not without.killed("g")
    root = tmp_path / "v2"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpu memory")
    assert "lacks pids" in Cgroups("a", root).why
    (root / "cgroup.controllers").write_text("cpu memory pids io")
    made = Cgroups("a", root)
    made.admit("g", 123, 2, 64)
    own = root / "andromede-a" / "g"
    assert (
        not made.why
        and (own / "memory.max").read_text() == str(64 << 20)
        and (own / "cgroup.procs").read_text() == "123"
    )
    assert (own / "cpu.max").read_text() == "200000 100000"
    (own / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert made.killed("g")
    (own / "memory.events").write_text("oom 1\noom_kill 0\n")
    assert not made.killed("g")
    made.remove("g")


class Toy:
    """A monitor that answers from a table; `told` are the commands that it got."""

    def __init__(self, path: Path, answers: dict[str, Any], greeting: bytes = b'{"QMP": {}}\n') -> None:
        self.told: list[dict[str, Any]] = []
        self._answers, self._greeting = answers, greeting
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self._answer(self.listener.accept()[0])

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(self._greeting)
            for line in connection.makefile("rb"):
                asked = json.loads(line)
                self.told.append(asked)
                found = self._answers.get(asked["execute"], {"return": {}})
                text = found if isinstance(found, bytes) else b'{"event": "X"}\n' + json.dumps(found).encode() + b"\n"
                connection.sendall(text)


@contextmanager
def toy(path: Path, answers: dict[str, Any], greeting: bytes = b'{"QMP": {}}\n') -> Iterator[Toy]:
    made = Toy(path, answers, greeting)
    try:
        yield made
    finally:
        made.listener.close()
        made.thread.join(5)


def test_the_monitor_passes_over_events_and_tells_refusals(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    answers = {
        "query-status": {"return": {"status": "running"}},
        "device_del": {"error": {"class": "DeviceNotFound", "desc": "no such device"}},
        "qom-list": {"return": [{"name": "type"}, {"name": "disk-a"}]},
    }
    with toy(path, answers) as served, Monitor(path, os.getuid()) as monitor:
        assert monitor.status() == "running" and monitor.devices() == {"disk-a"}
        with pytest.raises(Refused, match="no such device") as found:
            monitor.run("device_del", {"id": "x"})
        assert found.value.reason == "DeviceNotFound"
        reading, writing = os.pipe()
        monitor.run("getfd", {"fdname": "x"}, fd=reading)
        os.close(reading), os.close(writing)
        assert served.told[-1] == {"execute": "getfd", "arguments": {"fdname": "x"}}


def test_what_a_copy_stands_in_the_way_of_waits_for_its_end(tmp_path: Path) -> None:
    busy = "Node 'd0-a' is busy: block device is in use by block job: backup"
    answers = {
        "block_resize": {"error": {"class": "GenericError", "desc": busy}},
        "transaction": {"error": {"class": "GenericError", "desc": "Cannot find device"}},
        "query-jobs": {"return": []},
    }
    with toy(tmp_path / "qmp", answers), Monitor(tmp_path / "qmp", os.getuid()) as monitor:
        with pytest.raises(Unavailable, match="is being copied"):
            monitor.patient("block_resize", {"node-name": "d0-a", "size": 1})
        with pytest.raises(Refused, match="Cannot find"):
            monitor.patient("transaction", {"actions": []})
        assert monitor.patient("query-jobs", {}) == []


@pytest.mark.parametrize("bad", [b"nonsense\n", b"[]\n", b""])
def test_a_monitor_that_talks_nonsense_does_not_answer(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with toy(path, {}, bad or b"\n"):
        with pytest.raises(Unavailable, match="does not answer"):
            Monitor(path, os.getuid())


def test_a_monitor_of_somebody_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with toy(path, {}):
        with pytest.raises(Unavailable, match="somebody else"):
            Monitor(path, os.getuid() + 1)
    with pytest.raises(Unavailable):
        Monitor(tmp_path / "nowhere", os.getuid())


def test_a_monitor_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    with toy(path, {"query-status": b""}), Monitor(path, os.getuid(), seconds=0.2) as monitor:
        with pytest.raises(Unavailable):
            monitor.status()


def test_counters_of_disks_have_the_names_that_diagnostics_show(tmp_path: Path) -> None:
    stats = {"rd_bytes": 1, "rd_operations": 2, "wr_bytes": 3, "wr_operations": 4}
    stats |= {"failed_rd_operations": 5, "failed_wr_operations": 6}
    blocks = [{"qdev": "/machine/peripheral/disk-d/virtio-backend", "stats": stats}, {"qdev": "", "stats": {}}]
    lists = {"query-cpus-fast": [], "query-blockstats": blocks, "query-memory-size-summary": {"base-memory": 64 << 20}}
    answers = {name: {"return": value} for name, value in lists.items()}
    with toy(tmp_path / "qmp", answers), Monitor(tmp_path / "qmp", os.getuid()) as monitor:
        found = viewing.figures(monitor, Record(1, "b", os.getpid(), "0"), {})
    assert found.disks == {"d": dict(zip(DISK_COUNTERS, (1, 2, 3, 4, 11), strict=True))}
    assert found.memory_mb == 64 and found.cpu_ns == ()


REASONS: list[tuple[str, Any, tuple[str, str]]] = [
    ("guest-panicked", [], ("panicked", "guest kernel panicked")),
    ("io-error", [{"io-status": "nospace"}], ("io-error", "host storage full")),
    ("io-error", [{"io-status": "failed"}], ("io-error", "a disk of the host fails")),
    ("internal-error", [], ("failed", "the hypervisor stopped the guest: internal-error")),
    ("finish-migrate", [], ("starting", "")),
]


@pytest.mark.parametrize(("status", "blocks", "told"), REASONS)
def test_what_qemu_tells_is_put_in_words(status: str, blocks: Any, told: tuple[str, str], tmp_path: Path) -> None:
    lists: dict[str, Any] = {"qom-list": [], "query-block": blocks, "query-jobs": []}
    answers = {name: {"return": value} for name, value in lists.items()}
    answers["query-status"] = {"return": {"status": status}}
    with toy(tmp_path / "qmp", answers), Monitor(tmp_path / "qmp", os.getuid()) as monitor:
        seen = observing.found(monitor, Record(1, "b", 2, "3"))
    assert (seen.power, seen.reason) == told and seen.pid == 2
