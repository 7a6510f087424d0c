"""`make up` as root installs what hosting lacks, and goes on without where it cannot."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
from types import ModuleType
from typing import Any

import pytest

from andromede.ops import hosting
from tests.support.installation import ROOT


@pytest.fixture
def tool() -> ModuleType:
    path = str(ROOT / "tools" / "hosting-packages")
    loader = importlib.machinery.SourceFileLoader("hosting_packages", path)
    spec = importlib.util.spec_from_loader("hosting_packages", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Apt:
    """Stands in for the package manager."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tool: ModuleType, fails: str = "") -> None:
        self.calls: list[list[str]] = []
        self.fails = fails
        monkeypatch.setattr(tool.subprocess, "run", self.run)
        monkeypatch.setattr(
            hosting, "lacking", lambda programs: [name for name in programs if name in ("nft", "mcopy")]
        )
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(tool.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.delenv("ANDROMEDE_HOSTING_ENABLED", raising=False)

    def run(self, words: list[str], **named: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(words)
        if self.fails == "slow":
            raise subprocess.TimeoutExpired(words, 900)
        return subprocess.CompletedProcess(words, 100 if self.fails else 0, "", self.fails)


def test_what_is_missing_is_installed(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = Apt(monkeypatch, tool)
    assert tool.main(["--more", "binutils", "nftables"]) == 0
    assert apt.calls[0][:2] == ["apt-get", "update"]
    assert apt.calls[1][-3:] == ["nftables", "mtools", "binutils"], "each once"
    assert "needs nftables mtools binutils: installing them" in capsys.readouterr().out


@pytest.mark.parametrize(("fails", "why"), [("E: unable to locate", "unable to locate"), ("slow", "took more than")])
def test_without_a_network_it_goes_on(
    fails: str, why: str, tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Apt(monkeypatch, tool, fails)
    assert tool.main([]) == 0
    told = capsys.readouterr().out
    assert why in told and "going on without hosting. Later: apt-get install" in told


def test_what_hosting_does_without_ends_no_hosting(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Apt(monkeypatch, tool, "E: unable to locate")
    monkeypatch.setattr(hosting, "lacking", lambda programs: [name for name in programs if name == "haproxy"])
    assert tool.main([]) == 0
    assert "needs haproxy: installing" in (told := capsys.readouterr().out) and "going on without them. Later" in told


def test_others_are_told_what_they_may_do(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = Apt(monkeypatch, tool)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert tool.main([]) == 0 and "As root: apt-get install" in capsys.readouterr().out
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    assert tool.main([]) == 0 and "this is no Debian" in capsys.readouterr().out
    monkeypatch.setenv("ANDROMEDE_HOSTING_ENABLED", "off")
    assert tool.main([]) == 0 and capsys.readouterr().out == ""
    monkeypatch.delenv("ANDROMEDE_HOSTING_ENABLED")
    monkeypatch.setattr(hosting, "lacking", lambda programs: [])
    assert tool.main([]) == 0 and capsys.readouterr().out == ""
    assert apt.calls == []
