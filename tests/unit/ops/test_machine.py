"""What doctor says about a machine that hosts: each fault with the one command that mends it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from andromede.config import Config, Hosting
from andromede.ops import hosting, layout, machine
from andromede.ops.doctor import Finding, Patient
from andromede.ops.hosting import Able
from andromede.ops.layout import Layout
from andromede.ops.machine import Accelerated, Machine
from tests.support.clock import FakeClock, FakeIds

TCG = Accelerated("tcg", "this kernel's KVM runs no guests", 128)
GOOD = {
    "proc/sys/net/bridge/bridge-nf-call-iptables": "1",
    "proc/sys/net/ipv4/ip_forward": "1",
    "proc/swaps": "Filename Type Size Used Priority\n",
    "proc/meminfo": f"MemTotal: {24 << 20} kB\nMemFree: 5 kB\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory",
    "sys/module/apparmor/parameters/enabled": "Y",
}


@pytest.fixture
def patient(tmp_path: Path, clock: FakeClock, ids: FakeIds, monkeypatch: pytest.MonkeyPatch) -> Patient:
    place = Layout(tmp_path / "data")
    layout.prepare(place, clock, ids)
    monkeypatch.setattr(hosting, "able", lambda: Able())
    monkeypatch.setattr(Machine, "forward_drops", lambda self: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    return Patient(place, Config(place.data, hosting=Hosting(enabled="on")), clock)


def kernel(root: Path, **changes: str | None) -> Machine:
    """A machine whose kernel says this; None takes a file away."""
    for name, text in {**GOOD, **{key.replace("__", "/"): value for key, value in changes.items()}}.items():
        path = root / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
    return Machine(root / "kernel")


def found(patient: Patient, there: Machine, accelerated: Accelerated | None = TCG) -> dict[str, Finding]:
    """The findings that are not ok, by check; every one must say what mends it."""
    every = list(machine.examine(patient, there, accelerated))
    bad = {finding.check: finding for finding in every if finding.level != "ok"}
    assert all(finding.mend for finding in bad.values())
    assert not any(finding.mend for finding in every if finding.level == "ok")
    return bad


def settings(patient: Patient, **values: Any) -> Patient:
    return replace(patient, config=replace(patient.config, hosting=replace(patient.config.hosting, **values)))


def test_a_good_machine_lacks_nothing_but_speed(patient: Patient, tmp_path: Path) -> None:
    assert set(found(patient, kernel(tmp_path))) <= {"guests", "room"}
    every = {finding.check: finding.text for finding in machine.examine(patient, kernel(tmp_path), TCG)}
    assert every["guests"] == "guests run in software emulation, many times slower: this kernel's KVM runs no guests"
    assert every["capacity"] == "4 x SCS-1V-2 fit, bounded by cores"
    kvm = {
        finding.check: finding.text for finding in machine.examine(patient, kernel(tmp_path), Accelerated("kvm", "x"))
    }
    assert kvm["guests"] == "guests run with KVM (x)" and kvm["capacity"] == "11 x SCS-1V-2 fit, bounded by memory"


@pytest.mark.parametrize(
    ("changes", "check", "mend"),
    [
        ({"proc__sys__net__bridge__bridge-nf-call-iptables": None}, "bridges", "modprobe br_netfilter"),
        ({"proc__sys__net__ipv4__ip_forward": "0"}, "forwarding", "sysctl -w net.ipv4.ip_forward=1"),
        ({"sys__fs__cgroup__cgroup.controllers": None}, "cgroups", "unified_cgroup_hierarchy=1"),
        (
            {"sys__module__apparmor__parameters__enabled": "N"},
            "apparmor",
            "install -y --no-install-recommends apparmor",
        ),
        ({"proc__swaps": "Filename\n/dev/sda5 partition 1 0 -2\n"}, "swap", "swapoff /dev/sda5"),
        ({"proc__meminfo": "MemTotal: 2000000 kB\n"}, "capacity", "andromede check-config"),
        ({"proc__meminfo": "MemFree: 1 kB\n"}, "capacity", "andromede check-config"),
    ],
)
def test_each_fault_is_told_with_its_mend(
    changes: dict[str, str | None], check: str, mend: str, patient: Patient, tmp_path: Path
) -> None:
    bad = found(patient, kernel(tmp_path, **changes))
    assert mend in bad[check].mend


def test_encrypted_and_compressed_swap_is_none_in_clear(patient: Patient, tmp_path: Path) -> None:
    swaps = "Filename\n/dev/dm-7 partition 1 0 -2\n/dev/zram0 partition 1 0 -2\n"
    there = kernel(tmp_path, proc__swaps=swaps, **{"sys__class__block__dm-7__dm__uuid": "CRYPT-PLAIN-swap"})
    assert "swap" not in found(patient, there)


def test_a_network_card_of_its_own_needs_no_forwarding(patient: Patient, tmp_path: Path) -> None:
    there = kernel(tmp_path, proc__sys__net__ipv4__ip_forward="0")
    assert "forwarding" not in found(settings(patient, external_interface="eth1"), there)


def test_rules_of_others_that_drop_are_found(patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "forward_drops", lambda self: True)
    bad = found(patient, kernel(tmp_path))
    installation = str(patient.place.require()["id"])[:6]
    assert bad["forwarding"].mend == f"nft insert rule ip filter FORWARD iifname ax-{installation} accept"
    nowhere = replace(patient, place=Layout(tmp_path / "none"))
    assert machine._bridge(nowhere) == "ax-"


def test_the_rules_are_asked_of_nft(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: list[str], **named: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, "chain FORWARD { type filter hook forward; policy drop; }", "")

    monkeypatch.setattr(machine.shutil, "which", lambda name, path: "/sbin/nft")
    monkeypatch.setattr(machine.subprocess, "run", run)
    assert Machine().forward_drops()
    monkeypatch.setattr(machine.shutil, "which", lambda name, path: None)
    assert not Machine().forward_drops()


@pytest.mark.parametrize(("free", "level"), [(0.5, "ok"), (0.07, "warning"), (0.01, "error")])
def test_room_is_told_in_time(
    free: float, level: str, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = 1_000_000
    answer = os.statvfs_result((4096, 4096, blocks, int(blocks * free), int(blocks * free), 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: answer)
    every = {finding.check: finding for finding in machine.examine(patient, kernel(tmp_path), TCG)}
    assert every["room"].level == level


def test_a_machine_that_cannot_or_must_not_host(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        hosting, "able", lambda: Able(("the program nft (package nftables)",), "apt-get install nftables")
    )
    for enabled, level in (("on", "error"), ("auto", "warning")):
        (only,) = machine.examine(settings(patient, enabled=enabled), kernel(tmp_path), None)
        assert (only.level, only.mend) == (level, "apt-get install nftables")
        assert "the program nft" in only.text
    (only,) = machine.examine(settings(patient, enabled="off"), kernel(tmp_path), None)
    assert only.level == "ok" and "off by setting" in only.text


def test_guests_that_run_with_nothing_are_an_error(patient: Patient, tmp_path: Path) -> None:
    bad = found(patient, kernel(tmp_path), Accelerated("none", "", error="no guest runs with kvm here"))
    assert bad["guests"].level == "error" and "capacity" not in bad


def test_what_this_machine_lacks_is_looked_for_where_programs_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "PATH", "/nowhere")
    assert hosting.lacking({"nft": "nftables"}) == ["nft"]
    missing = hosting.able()
    assert "apt-get install -y --no-install-recommends qemu-system-x86" in missing.mend
    assert any("the program nft (package nftables)" in text for text in missing.missing)
