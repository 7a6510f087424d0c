"""The command around the monitor: where it asks, what it says, its codes and what it starts."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from andromede.cli import entry, ledger_monitor
from andromede.cli.output import Output
from andromede.sovereignty.monitor import wire
from andromede.sovereignty.monitor.evidence import CONTRADICTION, NOTE, STALE, Finding
from andromede.sovereignty.monitor.monitor import Round

URL = "http://127.0.0.1:9"


def run(*words: str) -> tuple[int, Any, str]:
    """Exit code, JSON and words on standard error of a monitor command."""
    args = entry.parser().parse_args(["ledger", "monitor", *words, "--json"])
    out = Output(True, io.StringIO(), io.StringIO())
    status = ledger_monitor.monitor(args, out)
    return status, json.loads(out.out.getvalue()), out.err.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("t\n")
    return str(tmp_path / "token")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to follow"),
        (("--cloud", "a", "--url", URL), "say what to follow"),
        (("--url", URL), "--token-file"),
        (("--url", "ftp://x", "--token-file", "t"), "not an http"),
        (("--url", URL, "--token-file", "t", "--all", "--log", "x"), "belong to one"),
        (("--cloud", "nowhere", "--data", "/nowhere"), "cannot be read"),
        (("--url", URL, "--token-file", "t", "--policy", "/nowhere/p"), "cannot be read"),
        (("--url", URL, "--token-file", "t", "--state", "/dev/null/x"), "NotADirectoryError"),
    ],
)
def test_wrong_usage_is_code_2(words: tuple[str, ...], said: str) -> None:
    status, told, error = run(*words)
    assert status == 2
    assert said in told["error"]["message"]
    assert said in error


def test_a_cloud_that_is_not_there_is_silence(tmp_path: Path, token: str) -> None:
    status, told, _ = run("--url", URL, "--token-file", token, "--state", str(tmp_path / "s"), "--once")
    assert (status, told["code"]) == (3, 3)
    assert [one["kind"] for one in told["findings"]] == ["silent"]
    assert told["server"] == f"{URL}/sovereignty/v1"
    status, told, _ = run("--url", URL, "--token-file", token, "--state", str(tmp_path / "all"), "--once", "--all")
    assert (status, [one["kind"] for one in told["findings"]]) == (3, ["silent"])


def test_a_cloud_of_the_file_is_entered_by_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, Any]] = []

    def exchange(site: wire.Site, tls: object, ask: wire.Ask) -> tuple[int, dict[str, str], bytes]:
        asked.append((site.url, ask.path, ask.body and json.loads(ask.body)))
        return (201, {"X-Subject-Token": "fresh"}, b"{}") if ask.body else (401, {}, b"no")

    monkeypatch.setattr(ledger_monitor, "exchange", exchange)
    monkeypatch.setattr(wire, "exchange", exchange)
    file = tmp_path / "clouds.yaml"
    file.write_text(
        "clouds:\n  mine:\n    auth:\n      auth_url: http://cloud:8700/identity/v3\n      username: u\n"
        "      password: p\n      project_name: demo\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    status, told, _ = run("--cloud", "mine", "--once")
    assert (status, told["findings"][0]["kind"]) == (3, "silent")
    logins = [body for _, path, body in asked if path == "/auth/tokens"]
    assert len(logins) == 2  # the first, and a fresh one after the refusal
    assert logins[0]["auth"]["scope"]["project"]["name"] == "demo"
    assert ("http://cloud:8700/sovereignty", "/v1/status", None) in asked
    assert (tmp_path / "state" / "andromede" / "monitor" / "mine-cloud-8700-sovereignty-v1" / "state.json").exists()


class Scripted:
    """A monitor whose rounds are given."""

    def __init__(self, *rounds: tuple[Finding, ...]) -> None:
        self.rounds = list(rounds)
        self.facts = {"origin": "o", "size": 1, "server": "s", "at": "now", "cosigned": {"w": "then"}}

    def round(self) -> Round:
        return Round(self.rounds.pop(0), dict(self.facts))


class Clock:
    slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


LATE = Finding(STALE, "lag", "late")
BROKEN = Finding(CONTRADICTION, "fork", "two roots", file="/e/fork-1.json")


def follow(watch: Scripted, *words: str) -> tuple[int, str, Clock]:
    args = entry.parser().parse_args(["ledger", "monitor", "--url", URL, *words])
    out, clock = Output(False, io.StringIO(), io.StringIO()), Clock()
    before = signal.getsignal(signal.SIGTERM)
    try:
        status = ledger_monitor._follow(watch, args, out, clock)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGTERM, before)
    return status, out.out.getvalue() + out.err.getvalue(), clock  # type: ignore[attr-defined]


def test_rounds_go_on_until_a_contradiction(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text(
        "import os, sys\nevidence = os.environ['ANDROMEDE_MONITOR_EVIDENCE']\n"
        f"open({str(told)!r}, 'a').write(evidence + sys.stdin.read() + '\\n')\n"
    )
    watch = Scripted((Finding(NOTE, "pinned", "keys"),), (LATE,), (LATE,), (BROKEN, LATE))
    status, said, clock = follow(watch, "--interval", "7", "--exec", f"{sys.executable} {script}")
    assert (status, clock.slept) == (1, 21)
    assert said.count("late") == 1
    assert "evidence: /e/fork-1.json" in said
    lines = told.read_text().splitlines()
    assert len(lines) == 2  # what is new, once
    assert lines[1].startswith("/e/fork-1.json{")
    assert json.loads(lines[1].removeprefix("/e/fork-1.json"))["findings"][0]["kind"] == "fork"


def test_a_command_that_fails_changes_nothing() -> None:
    for command, said in (("/nowhere/x", "could not be run"), ("false", "ended with 1"), ("'", "could not be run")):
        status, text, _ = follow(Scripted((LATE,)), "--once", "--exec", command)
        assert status == 3
        assert said in text
        assert "not fine" in text


def test_sigterm_ends_after_the_round() -> None:
    class Ends(Clock):
        def sleep(self, seconds: float) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    args = entry.parser().parse_args(["ledger", "monitor", "--url", URL])
    before = signal.getsignal(signal.SIGTERM)
    try:
        out = Output(True, io.StringIO(), io.StringIO())
        assert ledger_monitor._follow(Scripted((), ()), args, out, Ends()) == 0  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert json.loads(out.out.getvalue())["code"] == 0  # type: ignore[attr-defined]
