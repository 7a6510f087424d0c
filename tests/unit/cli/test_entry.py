"""The command line itself: words, errors, exit codes, what is made from the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from andromede.__main__ import main
from andromede.cli import completion, entry, output, reference, table
from andromede.cli.completion import walk
from andromede.sovereignty.service import is_request

ROOT = Path(__file__).resolve().parents[3]
LEAVES = [(path, command) for path, command in walk() if not command.commands]
ISSUE = """up down status doctor serve work check-config fsck backup restore migrate explain ledger keys
support-bundle bench completion"""


def run(*words: str) -> int:
    return entry.run(words)


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_leads_to_a_function(path: tuple[str, ...], command: table.Command) -> None:
    module, _, function = command.run.partition(":")
    assert callable(getattr(import_module(f"andromede.cli.{module}"), function))
    words = [*path, *("x" for a in command.arguments if not a.names[0].startswith("-") and "choices" not in a.options)]
    words += [a.options["choices"][0] for a in command.arguments if "choices" in a.options]
    args = entry.parser().parse_args([*words, "--data", "here", "--json"])
    assert (args.data, args.json, args.run) == ("here", True, command.run)


def test_the_names_that_other_tools_rely_on_are_there() -> None:
    top = {command.name: {child.name for child in command.commands} for command in table.COMMANDS}
    assert set(ISSUE.split()) <= set(top)
    assert top["serve"] == {"api", "objects"}
    assert top["ledger"] == {"status", "tail", "receipt", "policy", "erase", "renew", "verify", "monitor", "export"}
    assert {"list", "create", "disable", "enable", "rotate", "destroy"} <= top["keys"]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from andromede.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted(m for m in sys.modules if m.split('.')[0] in "
    code += "('uvicorn','cryptography','sqlite3','msgspec','lxml','uvloop','asyncio','ssl')))"
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith("COV")
    }  # it imports sqlite3 itself
    where = {**bare, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    shown = capsys.readouterr().out
    assert "andromede up" in shown
    assert "exit codes" in shown


def test_a_wrong_word_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("upp")
    assert ended.value.code == table.USAGE
    assert "--help" in capsys.readouterr().err


@pytest.mark.parametrize("words, perhaps", [
    (("up", "--listn", "x:1"), "andromede up: unrecognized arguments: --listn x:1; did you mean --listen?"),
    (("ledger", "tail", "--folow"), "andromede ledger tail: unrecognized arguments: --folow; did you mean --follow?"),
    (("status", "extra"), "andromede status: unrecognized arguments: extra\n"),
])  # fmt: skip
def test_an_unknown_option_is_answered_by_its_own_command(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], perhaps: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == table.USAGE
    said = capsys.readouterr().err
    assert perhaps in said
    assert "See: andromede " + " ".join(word for word in words if word in ("up", "ledger", "tail", "status")) in said


@pytest.mark.parametrize("count", ["0", "-3", "x", ""])
def test_a_count_is_a_number_from_one_on(capsys: pytest.CaptureFixture[str], count: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("ledger", "tail", f"--count={count}")
    assert ended.value.code == table.USAGE
    assert f"{count!r} is no number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["up", "status", "doctor"])
def test_a_closed_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def closed(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", closed)
    assert run(command, "--data", str(tmp_path / "of-another")) == table.FAILED
    assert "of-another cannot be looked into: Permission denied; run this as its owner" in capsys.readouterr().err


def test_an_interrupt_while_the_program_is_read_in_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(argv: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "run", interrupted)
    assert main(["status"]) == table.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_an_address_without_a_colon_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "andromede.toml").write_text('[server]\nlisten = "8700"\n')
    assert run("check-config", "--data", str(tmp_path), "--json") == table.USAGE
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert problems == ["server.listen: '8700' is not HOST:PORT (as in 127.0.0.1:8700)"]


def test_a_missing_installation_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--data", str(tmp_path / "none"), "--json") == table.FAILED
    caught = capsys.readouterr()
    assert json.loads(caught.out)["error"]["reason"] == "data"
    assert "andromede up" in caught.err


@pytest.mark.parametrize(("name", "value", "told"), [
    ("enabled", "yes", "'yes' is none of on, off and auto"),
    ("accelerator", "xen", "'xen' is none of auto, kvm and tcg"),
    ("external_cidr", "here", "'here' is no IPv4 range of 4 addresses or more (as 172.24.4.0/24)"),
    ("external_cidr", "10.0.0.0/31", "'10.0.0.0/31' is no IPv4 range of 4 addresses or more (as 172.24.4.0/24)"),
    ("external_cidr", "fd00::/64", "'fd00::/64' is no IPv4 range of 4 addresses or more (as 172.24.4.0/24)"),
    ("external_gateway", "10.0.0.1", "'10.0.0.1' is no address of 172.24.4.0/24"),
    ("external_gateway", "door", "'door' is no address of 172.24.4.0/24"),
    ("console", "8702", "'8702' is not HOST:PORT (as in 127.0.0.1:8702)"),
    ("console", "here:70000", "'here:70000' is not HOST:PORT (as in 127.0.0.1:8702)"),
    ("vcpu_ratio", "-1", "must be at least 0"),
    ("guest_mtu", "0", "must be at least 576"),
    ("image_gb", "0", "must be at least 1"),
])  # fmt: skip
def test_settings_of_hosting_are_looked_at_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    name: str, value: str, told: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(f"ANDROMEDE_HOSTING_{name.upper()}", value)
    assert run("check-config", "--data", str(tmp_path), "--json") == table.USAGE
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert problems == [f"hosting.{name}: {told}"]


def test_bad_settings_are_all_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "andromede.toml").write_text('[server]\nlisten = "0.0.0.0:1"\nhue = 3\n[nowhere]\n')
    assert run("check-config", "--data", str(tmp_path), "--json") == table.USAGE
    problems = "\n".join(json.loads(capsys.readouterr().out)["problems"])
    assert all(word in problems for word in ("server.hue", "nowhere", "0.0.0.0"))


def test_check_config_tells_where_a_value_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "andromede.toml").write_text('[server]\nregion = "de1"\n')
    monkeypatch.setenv("ANDROMEDE_SERVER_OBJECT_WORKERS", "3")
    assert run("check-config", "--data", str(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)["settings"]
    assert found["server.region"] == {"value": "de1", "origin": "file"}
    assert found["server.object_workers"] == {"value": 3, "origin": "environment"}
    assert found["server.tls"]["origin"] == "default"
    assert run("check-config", "--data", str(tmp_path)) == 0
    assert "de1" in capsys.readouterr().out


def test_completion_scripts_know_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert run("completion", shell) == 0
        script = capsys.readouterr().out
        assert all(command.name in script for command in table.COMMANDS)
    bash = completion.bash()
    ask = f"{bash}\nCOMP_WORDS=(andromede ledger ta); COMP_CWORD=2; _andromede; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "tail"


def test_the_reference_is_current() -> None:
    docs = ROOT / "docs" / "reference"
    assert (docs / "commands.md").read_text() == reference.commands(), "run: tools/reference"
    assert (docs / "settings.md").read_text() == reference.configuration(), "run: tools/reference"


def test_sizes_and_spans_read_well() -> None:
    assert [output.size(n) for n in (0, 1023, 1536, 5 << 30, 3 << 40)] == [
        "0 B", "1023 B", "1.5 KiB", "5.0 GiB", "3.0 TiB",
    ]  # fmt: skip
    assert [output.span(n) for n in (5, 61, 3700, 90_000)] == ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]


def test_a_request_is_found_by_either_id() -> None:
    found = "req-2bb24591-7033-420f-8fba-83865a5d7628"
    assert is_request(found, found)
    assert is_request(found, "tx3420f8fba83865a5d7628-006b022e49")
    assert not is_request(found, "tx4420f8fba83865a5d7628-006b022e49")
    assert not is_request(found, "req-2bb24591")
