"""A witness of another make (aics-witness, Python 3.12 and later) cosigns a live log of ours and refuses forks; and its
client is served by a witness of ours. Skipped, and said so, where `make clients` could not install it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from andromede.ledger import tree
from andromede.ledger.note import Verifier, checkpoint_fields, checkpoint_text, open_note, split_note
from andromede.ledger.witness import origin_hash
from andromede.sovereignty.logkeys import LogKeys
from tests.e2e.test_witnesses import alone, as_json, put
from tests.support.clients import program
from tests.support.installation import Installation, free_port, wait_until
from tests.support.toylog import ToyLog, signers

pytestmark = pytest.mark.timeout(300)
HERE = Path(__file__).resolve().parent


class ForeignWitness:
    """aics-witness in a folder of its own, trusting one log."""

    def __init__(self, folder: Path, origin: str, vkey: str) -> None:
        self._program, self._config = program("aics-witness"), folder / "witness.json"
        self.address = f"127.0.0.1:{free_port()}"
        self.vkey = self._run("init", "--name", "other.example/w1", "--listen", self.address).strip()
        self._run("add-log", "--origin", origin, "--vkey", vkey)
        self._hash = origin_hash(origin)
        self._process = subprocess.Popen([self._program, "serve", "--config", str(self._config)],
                                         stderr=subprocess.DEVNULL)  # fmt: skip
        wait_until("aics-witness answers", self.size, 30)

    def _run(self, word: str, *more: str) -> str:
        command = [self._program, word, "--config", str(self._config), *more]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def size(self) -> str:
        """The size of the last checkpoint that it cosigned; `none`; empty while it does not answer."""
        try:
            answer = httpx.get(f"{self.url}/{self._hash}/checkpoint", trust_env=False)
        except httpx.TransportError:
            return ""
        return str(checkpoint_fields(split_note(answer.text)[0])[1]) if answer.status_code == 200 else "none"

    def note(self) -> str:
        return httpx.get(f"{self.url}/{self._hash}/checkpoint", trust_env=False).text

    def post(self, body: str) -> int:
        return httpx.post(f"{self.url}/add-checkpoint", content=body.encode(), trust_env=False).status_code

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


@pytest.fixture
def live() -> Iterator[Installation]:
    installation = Installation.fresh(ledger__witness_seconds=0.5, ledger__checkpoint_seconds=0.2)
    with installation:
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


def test_a_foreign_witness_cosigns_a_live_log_and_refuses_forks(live: Installation, tmp_path: Path) -> None:
    origin, _ = put(live, "first")
    keys = LogKeys.open(live.data / "keys" / "ledger.json")
    witness = ForeignWitness(tmp_path, origin, str(keys.verifiers(origin)[0]))
    try:
        assert witness.size() == "none"
        live.run("witness", "trust", witness.url, "--vkey", witness.vkey, "--run-by", "somebody else")
        sizes = []
        for names in (("a", "b", "c"), [f"more-{n}" for n in range(20)]):  # 0 -> n -> m
            _, index = put(live, *names)
            wait_until("it cosigned", lambda index=index: witness.size().isdigit() and int(witness.size()) > index, 30)
            sizes.append(int(witness.size()))
        assert 0 < sizes[0] < sizes[1]

        def ours() -> str:
            found = _cosigned(live, origin)
            return found if "other.example/w1" in found else ""

        note = wait_until("its cosignature stands on our note", ours, 30)
        verified = open_note(note, [*keys.verifiers(origin), Verifier.parse(witness.vkey)])[1]
        assert Verifier.parse(witness.vkey) in [signature.verifier for signature in verified]
        live.stop()
        size, before = int(witness.size()), witness.note()
        fork = ToyLog(origin).grow(size + 5, "rewritten")
        for old, new in ((size, size + 5), (size, size)):  # the true keys under another history
            proof = tree.consistency(fork.read, old, new)
            steps = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
            forged = keys.sign(checkpoint_text(origin, new, fork.root(new)))
            assert witness.post(f"old {old}\n{steps}\n{forged}") in (409, 422)
        assert witness.note() == before
    finally:
        witness.stop()


def _cosigned(live: Installation, origin: str) -> str:
    """The newest cosigned note that is stored."""
    from andromede.config import load
    from andromede.db import open_database
    from andromede.sovereignty import store

    db = open_database(load(live.data, live.environment).database_dsn)
    try:
        found = store.cosigned(db, origin)
        return found[0].text if found else ""
    finally:
        db.close()


def test_our_witness_serves_a_foreign_client(tmp_path: Path) -> None:
    python = program("tlog")
    log = ToyLog("log.example/one").grow(300)
    fork = ToyLog(log.origin).grow(150).grow(400, "rewritten")
    behind = log.note(150)

    def step(source: ToyLog, size: int, *olds: int) -> dict[str, Any]:
        proofs = {
            str(old): [base64.b64encode(node).decode() for node in tree.consistency(source.read, old, size)]
            for old in (0, *olds)
        }
        return {"note": source.note(size), "proofs": proofs}

    play = [step(log, 7), step(log, 300, 7), step(log, 300, 300), step(fork, 500, 300), step(fork, 300, 300),
            {"note": behind, "proofs": {"0": []}}]  # fmt: skip
    (tmp_path / "play.json").write_text(json.dumps(play))
    with alone("--listen", "127.0.0.1:0", "--name", "ours.example/w1") as (folder, said):
        vkey = str(signers(log.origin)[0].verifier)
        as_json(folder, "witness", "trust", "--origin", log.origin, "--vkey", vkey)
        where = said["url"] + "/sovereignty/v1/witness"
        done = subprocess.run(
            [python, str(HERE / "foreign_feeder.py"), where, said["vkeys"][0], str(tmp_path / "play.json")],
            capture_output=True, text=True, timeout=120, env={"PATH": os.environ.get("PATH", "")}, check=False,
        )  # fmt: skip
        assert done.stdout.splitlines() == [
            *["cosigned ours.example/w1"] * 3, "WitnessRejected", "WitnessRejected", "WitnessAhead",
        ], done.stderr  # fmt: skip
        assert len(as_json(folder, "witness", "list")["refused"]) == 2
        found = as_json(folder, "witness", "evidence", "-o", str(tmp_path / "found"), check=False)["refused"]
        assert sorted(one["verdict"] for one in found) == ["fork", "not-a-prefix"]
        assert {path.name for path in (tmp_path / "found").iterdir()} == {one["file"] for one in found}
