"""Witnesses as operators run them: two installations, a witness that stands alone, a database of yesterday."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from andromede.ledger.note import checkpoint_fields, split_note
from andromede.ledger.witness import origin_hash
from tests.support.installation import COMMAND, Installation, free_port, wait_until
from tests.support.keystone import Keystone
from tests.support.swift import SwiftDoor
from tests.support.toylog import signers

pytestmark = pytest.mark.timeout(300)
SECONDS = 20.0


def as_json(folder: Path, *words: str, check: bool = True) -> Any:
    """The JSON document of one command."""
    source = os.pathsep.join([str(Path(__file__).resolve().parents[2] / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*COMMAND, *words, "--data", str(folder), "--json"],
        env={**os.environ, "PYTHONPATH": source}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fresh() -> Installation:
    return Installation.fresh(ledger__witness_seconds=0.5, ledger__checkpoint_seconds=0.2)


@contextmanager
def alone(*words: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A witness of its own process: (its folder, what it says at the start)."""
    folder = Path(tempfile.mkdtemp(prefix="andromede-witness-"))
    command = [*COMMAND, "witness", "--data", str(folder), "--json", *words]
    source = str(Path(__file__).resolve().parents[2] / "src")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source})
    assert process.stdout is not None
    try:
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, f"the witness ended with {process.wait()}: {text}"
            text += line
        yield folder, json.loads(text)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()
        shutil.rmtree(folder)


def url(installation: Installation) -> str:
    return f"http://{installation.api}"


def witnessed(installation: Installation) -> dict[str, Any] | None:
    """What status says of the witnesses, once every log is cosigned."""
    found: dict[str, Any] = as_json(installation.data, "status")["witnesses"]
    return found if found["logs"] and found["quorum"] == found["logs"] else None


def put(installation: Installation, *names: str) -> tuple[str, int]:
    """Put objects; (origin, index) of the event of the last one."""
    user = Keystone.log_in(installation, installation.clouds["andromede"]["auth"])
    with SwiftDoor(user) as door:
        assert door.call("PUT", "/box")[0] in (201, 202)
        told = [door.call("PUT", f"/box/{name}", name.encode()) for name in names]
    user.http.close()
    assert all(status == 201 for status, *_ in told)
    origin, _, index = told[-1][2]["andromede-ledger"].partition(" ")
    return origin, int(index)


def seen(witness: Installation, place: tuple[str, int]) -> bool:
    """Whether the witness has cosigned a checkpoint that covers an event."""
    where = f"{url(witness)}/sovereignty/v1/witness/{origin_hash(place[0])}/checkpoint"
    answer = httpx.get(where, trust_env=False)
    return answer.status_code == 200 and checkpoint_fields(split_note(answer.text)[0])[1] > place[1]


@pytest.fixture
def two() -> Iterator[tuple[Installation, Installation]]:
    made = fresh(), fresh()
    with made[0], made[1]:
        yield made
    for one in made:
        shutil.rmtree(one.data, ignore_errors=True)


def test_two_installations_witness_each_other(two: tuple[Installation, Installation]) -> None:
    """One command on each side."""
    one, other = two
    assert "unwitnessed" in as_json(one.data, "status")["witnesses"]["text"]
    one.run("witness", "trust", url(other), "--run-by", "the other ministry")
    other.run("witness", "trust", url(one))
    put(one, "a", "b")
    put(other, "c")
    for mine, theirs in ((one, other), (other, one)):
        found = wait_until("all logs are cosigned", lambda mine=mine: witnessed(mine), SECONDS)
        assert found["logs"] >= 2
        [asked] = found["asked"]
        assert asked["name"] == as_json(theirs.data, "witness", "key")["name"]
        assert asked["age_seconds"] < SECONDS and asked["name"] in found["text"]
        listed = as_json(theirs.data, "witness", "list")
        assert listed["cosigns"][0]["logs"] >= 2 and listed["refused"] == []
    assert "run by the other ministry" in one.run("status").stdout
    assert "who runs it was not stated" in other.run("status").stdout
    again = one.run("witness", "trust", url(other), check=False)
    assert again.returncode == 0, "saying it twice does no harm"
    itself = one.run("witness", "trust", url(one), check=False)
    assert itself.returncode == 1 and "our own URL" in itself.stdout
    one.run("witness", "remove", as_json(other.data, "witness", "key")["prefix"])
    assert "unwitnessed" in as_json(one.data, "status")["witnesses"]["text"]
    assert as_json(one.data, "witness", "list")["cosigns"] == []


def test_a_witness_that_stands_alone(two: tuple[Installation, Installation]) -> None:
    mine = two[0]
    with alone("--listen", "127.0.0.1:0", "--name", "witness.example/w1") as (folder, said):
        assert said["name"] == "witness.example/w1" and len(said["vkeys"]) == 2
        assert (folder / "keys" / "witness.json").stat().st_mode & 0o777 == 0o600
        about = httpx.get(said["url"] + "/sovereignty/v1/installation", trust_env=False).json()
        assert about["install"] is None and about["witness"]["vkeys"] == said["vkeys"]
        mine.run("witness", "trust", said["url"])
        as_json(folder, "witness", "trust", url(mine))
        put(mine, "a")
        found = wait_until("all logs are cosigned", lambda: witnessed(mine), SECONDS)
        assert found["asked"][0]["name"] == "witness.example/w1"
        assert (
            as_json(folder, "witness", "list")["cosigns"][0]["name"] == as_json(mine.data, "witness", "key")["prefix"]
        )
        refused = as_json(folder, "witness", "trust", said["url"], check=False)
        assert "stands alone" in refused["error"]["message"]
        by_words(mine, said)
    late = mine.run("witness", "trust", said["url"], check=False)
    assert late.returncode == 1 and "does not answer" in late.stdout


def by_words(mine: Installation, said: dict[str, Any]) -> None:
    """What the commands print, and what they refuse."""
    assert "witness.example/w1" in mine.run("witness", "list").stdout
    assert "logs below andromede-" in mine.run("witness", "key").stdout
    assert "refused nothing" in mine.run("witness", "evidence").stdout
    vkey = str(signers("other.example/log")[0].verifier)
    mine.run("witness", "trust", "--origin", "other.example/log", "--vkey", vkey)
    listed = mine.run("witness", "list").stdout
    assert "other.example/log" in listed and "never" in listed
    other = str(signers("other.example/log", (b"\x07" * 32, b"\x08" * 32))[0].verifier)
    wrong = {
        ("--origin", "other.example/log", "--vkey", other): "--replace",
        ("--origin", "other.example/log"): "needs the log's own key",
        ("--origin", "other.example/", "--vkey", vkey): "slash",
        ("http://127.0.0.1:1", "--vkey", vkey): "cosignature keys",
        ("--vkey", "x"): "--vkey",
        (): "name the URL",
        ("ftp://x",): "not an http",
        (mine.objects_url,): "neither an installation nor a witness",
        (said["url"] + "/sovereignty/v1/witness", "--vkey", said["vkeys"][0].replace("w1", "w2")): "--vkey",
    }
    for words, text in wrong.items():
        done = mine.run("witness", "trust", *words, check=False)
        assert done.returncode in (1, 2) and text in done.stdout, done.stdout
    mine.run("witness", "trust", "--origin", "other.example/log", "--vkey", other, "--replace")
    assert "no longer cosign" in mine.run("witness", "remove", "other.example/log").stdout
    assert "nothing here is called" in mine.run("witness", "remove", "nobody", check=False).stdout
    assert "not halted" in mine.run("witness", "resume", "nobody", check=False).stdout


def test_where_a_lone_witness_may_not_begin(two: tuple[Installation, Installation], tmp_path: Path) -> None:
    def refused(folder: Path, *words: str) -> str:
        return str(as_json(folder, "witness", *words, check=False)["error"]["message"])

    port = free_port()
    assert "loopback" in refused(tmp_path / "w", "--listen", f"0.0.0.0:{port}")
    assert "--url" in refused(tmp_path / "w", "--listen", f"0.0.0.0:{port}", "--behind-proxy")
    assert "witness already" in refused(two[0].data)
    (tmp_path / "file").write_text("x")
    assert "other things" in refused(tmp_path)
    assert "neither an installation nor a witness" in refused(tmp_path / "none", "list")


def test_a_lone_witness_over_tls(two: tuple[Installation, Installation]) -> None:
    mine = two[0]
    with alone("--listen", "127.0.0.1:0", "--tls") as (folder, said):
        assert said["url"].startswith("https://")
        bare = mine.run("witness", "trust", said["url"], check=False)
        assert bare.returncode == 1 and "--ca" in bare.stdout
        mine.run("witness", "trust", said["url"], "--ca", said["ca"])
        as_json(folder, "witness", "trust", url(mine))
        put(mine, "a")
        assert wait_until("all logs are cosigned", lambda: witnessed(mine), SECONDS)


def test_l4_the_data_of_yesterday_is_not_signed_on(two: tuple[Installation, Installation]) -> None:
    """L4 with real processes: the directory of yesterday is put back, and the log is halted."""
    mine, other = two
    mine.run("witness", "trust", url(other))
    other.run("witness", "trust", url(mine))
    put(mine, "a")
    wait_until("all logs are cosigned", lambda: witnessed(mine), SECONDS)
    mine.stop()
    yesterday = mine.data.with_name(mine.data.name + "-yesterday")
    shutil.copytree(mine.data, yesterday)
    mine.start()
    place = put(mine, "b", "c", "d")
    wait_until("the other has seen it", lambda: seen(other, place), SECONDS)
    mine.stop()
    shutil.rmtree(mine.data)
    yesterday.rename(mine.data)
    mine.start()
    assert put(mine, "e")[0] == place[0]

    def halted() -> list[dict[str, str]]:
        return list(as_json(mine.data, "status")["witnesses"]["halted"])

    wait_until("the log is halted", lambda: place[0] in [one["origin"] for one in halted()], SECONDS)
    found = halted()
    assert all("rolled back" in one["reason"] or "fork" in one["reason"] for one in found)
    shown = mine.run("status").stdout
    assert "NOT SIGNED ANY MORE" in shown and "REFUSED TO SIGN" in shown
    origin = place[0]
    assert "compared" in mine.run("witness", "resume", origin).stdout
    wait_until("it is halted again", lambda: origin in [one["origin"] for one in halted()], 40)
