"""A witness of another make, aics-witness, cosigns a live log from 0 to n to m and refuses forks and rollbacks; Go,
aics-tlog and our verifier then accept the cosigned checkpoint."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from andromede.ledger.note import Verifier, checkpoint_fields, checkpoint_text, split_note
from andromede.ledger.witness import origin_hash
from andromede.sovereignty.logkeys import LogKeys
from tests.support.clients import CLIENTS, program
from tests.support.installation import Installation, free_port, wait_until
from tests.support.keystone import Keystone
from tests.support.published import Door, fetch, go_check, python_check
from tests.support.swift import SwiftDoor
from tests.support.verifier import run

pytestmark = pytest.mark.timeout(300)
NAME = "witness.third.example/w1"


@dataclass(slots=True)
class Witnessed:
    """An installation whose policy asks for one witness of another make."""

    cloud: Installation
    door: Door
    user: Keystone
    url: str
    origin: str

    def put(self, *names: str) -> None:
        with SwiftDoor(self.user) as swift:
            swift.call("PUT", "/box")
            for name in names:
                swift.expect("PUT", f"/box/{name}", 201, b"x")

    def cosigned(self, beyond: int) -> int:
        """The size of the published checkpoint once the witness has signed one larger than `beyond`, else 0."""
        text, lines = split_note(self.door.get("checkpoint").decode())
        size = checkpoint_fields(text)[1]
        return size if size > beyond and NAME in [name for name, _ in lines] else 0

    def ask(self, body: str) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body.encode(), timeout=20, trust_env=False)

    def remembered(self) -> tuple[int, str]:
        """(size, note) that the witness shows to monitors; size 0 where it shows none."""
        answer = httpx.get(f"{self.url}/{origin_hash(self.origin)}/checkpoint", timeout=20, trust_env=False)
        if answer.status_code != 200:
            return 0, ""
        return checkpoint_fields(split_note(answer.text)[0])[1], answer.text


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[Witnessed]:
    command = program("aics-witness")
    port, config = free_port(), str(tmp_path / "witness.json")
    words = ["--name", NAME, "--listen", f"127.0.0.1:{port}", "--db", "witness.db", "--key-file", "witness.key"]
    made = subprocess.run(
        [command, "init", "-c", config, *words], capture_output=True, text=True, check=True, timeout=60
    )
    vkey = made.stdout.split()[-1]
    with Installation.fresh(ledger__witness_seconds=0.5, ledger__checkpoint_seconds=0.2) as cloud:
        user = Keystone.log_in(cloud, cloud.clouds["andromede"]["auth"])
        door = Door(f"http://{cloud.api}/sovereignty/v1", user.token)
        wait_until("a first checkpoint", door.size)
        log = next(line.split()[1] for line in door.get("policy").decode().splitlines() if line.startswith("log "))
        origin = Verifier.parse(log).name
        words = ["--origin", origin, "--vkey", log]
        subprocess.run([command, "add-log", "-c", config, *words], capture_output=True, check=True, timeout=60)
        process = subprocess.Popen(
            [command, "serve", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            cloud.run("witness", "trust", f"http://127.0.0.1:{port}", "--vkey", vkey)
            yield Witnessed(cloud, door, user, f"http://127.0.0.1:{port}", origin)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            user.http.close()
    shutil.rmtree(cloud.data, ignore_errors=True)


def test_aics_witness_cosigns_a_live_log_and_refuses_its_forks(witnessed: Witnessed, tmp_path: Path) -> None:
    witnessed.put("one")
    first = int(wait_until("the first cosignature", lambda: witnessed.cosigned(0), 40))
    old = wait_until("a cosigned note", lambda: witnessed.cosigned(0) and witnessed.door.get("checkpoint"), 40)
    witnessed.put(*(f"more-{number:03d}" for number in range(280)))
    wait_until("the grown log is cosigned", lambda: witnessed.cosigned(first + 280), 60)
    folder = fetch(witnessed.door, tmp_path / "log", old, first)
    keys, note = str(folder / "policy"), folder / "checkpoint"
    assert NAME in note.read_text(encoding="utf-8")
    done = run(["checkpoint", "old", "checkpoint", "--policy", "policy"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("cosigned by 1 of 1 witnesses of the policy") == 2
    for check in ("notes", "growth", "tiles", "mldsa"):
        opinion = python_check()(check, str(folder))
        assert opinion.returncode == 0, opinion.stderr
    if CLIENTS["go"].path() and CLIENTS["sumdb"].path():
        opinion = go_check()("note", keys, str(note))
        assert (opinion.returncode, opinion.stdout.split(" entries, ")[1]) == (0, "2 signatures hold\n")
        assert go_check()("growth", keys, str(folder / "old"), str(note), str(folder / "proof")).returncode == 0
    _refuses(witnessed)


def _refuses(witnessed: Witnessed) -> None:
    """What an operator with the true keys cannot have cosigned."""
    witnessed.cloud.run("down", check=False)  # nothing is added meanwhile
    size, seen = witnessed.remembered()
    keys = LogKeys.open(witnessed.cloud.data / "keys" / "ledger.json")

    def signed(size: int, root: bytes) -> str:
        return keys.sign(checkpoint_text(witnessed.origin, size, root))

    fork, larger, smaller = signed(size, bytes(32)), signed(size + 1, bytes(32)), signed(size - 1, bytes(32))
    assert witnessed.ask(f"old {size}\n\n{fork}").status_code == 422
    assert witnessed.ask(f"old {size}\n{'A' * 43}=\n\n{larger}").status_code == 422
    assert witnessed.ask(f"old {size}\n\n{smaller}").status_code == 400
    rolled_back = witnessed.ask(f"old {size - 1}\n\n{smaller}")
    assert (rolled_back.status_code, rolled_back.text) == (409, f"{size}\n")
    assert rolled_back.headers["content-type"] == "text/x.tlog.size"
    assert witnessed.remembered() == (size, seen)
