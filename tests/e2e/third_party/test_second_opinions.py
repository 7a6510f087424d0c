"""Other people's programs accept what we publish and refuse it altered: Go's sumdb, aics-tlog, dilithium-py, pymerkle.

Each runs on a log written by this test and on the log of a live installation.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import program
from tests.support.installation import Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.published import Done, Door, fetch, go_check, publish, python_check
from tests.support.swift import SwiftDoor
from tests.support.verifier import PROGRAM, Book, run

pytestmark = pytest.mark.timeout(300)
PUTS = 300
EXTRA, OTHER_EXTRA = "extra YW5kcm9tZWRlL2V4dHJhL3YxC", "extra YW5kcm9tZWRlL2V4dHJhL3YxD"


@pytest.fixture(scope="session")
def own_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(Book.of(600), tmp_path_factory.mktemp("own"), 257, 300)


@pytest.fixture(scope="session")
def door(cloud: Installation, demo: Keystone) -> Door:
    return Door(f"http://{cloud.api}/sovereignty/v1", demo.token)


@pytest.fixture(scope="session")
def live_log(door: Door, demo: Keystone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files fetched from a running installation after a few hundred objects were put there."""
    wait_until("a first checkpoint", lambda: door.size() > 0)
    old = door.get("checkpoint")
    with SwiftDoor(demo) as swift:
        swift.expect("PUT", "/witnessed", 201)
        for number in range(PUTS):
            swift.expect("PUT", f"/witnessed/{number:04d}", 201, b"%d" % number)
    end = door.allocated()
    wait_until("a checkpoint over all objects", lambda: door.size() >= end)
    return fetch(door, tmp_path_factory.mktemp("live"), old, end - PUTS // 2)


@pytest.fixture(params=["own_log", "live_log"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A copy that the test may alter."""
    shutil.copytree(request.getfixturevalue(request.param), tmp_path / "log")
    yield tmp_path / "log"


@pytest.fixture
def go() -> Callable[..., Done]:
    return go_check()


@pytest.fixture
def packages() -> Callable[..., Done]:
    return python_check()


def holds(done: Done) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def refused(done: Done) -> None:
    assert done.returncode == 1, done.stdout + done.stderr


def flip(path: Path, at: int, mask: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)


def swap_root(path: Path) -> None:
    """Another root under the same signatures."""
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[2] = base64.b64encode(bytes(32)).decode()
    path.write_text("\n".join(lines), encoding="utf-8")


def right_edge(folder: Path, prefix: str) -> Path:
    """The partial tile under a prefix."""
    return next((folder / prefix).rglob("*.p/*"))


def test_go_accepts_and_refuses(published: Path, go: Callable[..., Done]) -> None:
    keys, at = (
        str(published / "policy"),
        {name: str(published / name) for name in ("old", "checkpoint", "proof", "receipt")},
    )
    holds(go("note", keys, at["checkpoint"]))
    holds(go("inclusion", keys, at["receipt"]))
    holds(go("growth", keys, at["old"], at["checkpoint"], at["proof"]))
    holds(go("tiles", keys, str(published)))
    refused(go("growth", keys, at["checkpoint"], at["old"], at["proof"]))
    text = (published / "receipt").read_text(encoding="utf-8")
    index = next(line for line in text.split("\n") if line.startswith("index "))
    for old, new in ((index, "index 1"), (EXTRA, OTHER_EXTRA)):
        assert old in text
        (published / "forged").write_text(text.replace(old, new), encoding="utf-8")
        refused(go("inclusion", keys, str(published / "forged")))
    flip(published / "proof", 3)
    refused(go("growth", keys, at["old"], at["checkpoint"], at["proof"]))
    swap_root(published / "checkpoint")
    refused(go("note", keys, at["checkpoint"]))


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/0", "tile/entries", "tile/1"])
def test_l3_one_byte_of_a_tile(
    published: Path, go: Callable[..., Done], packages: Callable[..., Done], name: str
) -> None:
    flip(published / name if name.endswith("/000") else right_edge(published, name), 20)
    refused(go("tiles", str(published / "policy"), str(published)))
    refused(packages("tiles", str(published)))


def test_python_packages_accept_and_refuse(published: Path, packages: Callable[..., Done]) -> None:
    for check in ("notes", "growth", "receipt", "tiles", "mldsa", "roots"):
        holds(packages(check, str(published)))
    original = (published / "receipt").read_text(encoding="utf-8")
    (published / "receipt").write_text(
        original.replace("extra YW5kcm9tZWRlL2V4dHJhL3YxC", "extra YW5kcm9tZWRlL2V4dHJhL3YxD")
    )
    refused(packages("receipt", str(published)))
    flip(published / "proof", 3)
    refused(packages("growth", str(published)))
    flip(right_edge(published, "tile/entries"), 10)
    refused(packages("roots", str(published)))
    swap_root(published / "checkpoint")
    for check in ("notes", "mldsa", "roots"):
        refused(packages(check, str(published)))


def test_our_verifier_says_the_same(published: Path) -> None:
    holds(run(["checkpoint", "old", "checkpoint", "--policy", "policy"], published))
    holds(run(["receipt", "receipt", "--policy", "policy"], published))
    holds(run(["consistency", "old", "checkpoint", "proof", "--policy", "policy"], published))
    flip(published / "proof", 3)
    assert run(["consistency", "old", "checkpoint", "proof", "--policy", "policy"], published).returncode in (1, 2)


def test_go_reads_the_tiles_of_a_running_installation(door: Door, live_log: Path, go: Callable[..., Done]) -> None:
    done = go("tiles", str(live_log / "policy"), door.url, token=door.token)
    holds(done)
    assert int(done.stdout.split()[0]) > PUTS
    refused(go("tiles", str(live_log / "policy"), door.url, token="nobody"))


def test_the_program_serves_the_verifier_that_is_in_the_repository(door: Door) -> None:
    served = Door(door.url, "").get("andromede-verify")
    assert served == PROGRAM.read_bytes()


def test_a_library_without_ml_dsa_checks_the_rest_and_says_so(published: Path) -> None:
    python = program("old-cryptography")
    for words in (["receipt", "receipt"], ["checkpoint", "checkpoint"]):
        done = run([*words, "--policy", "policy"], published, (python,))
        holds(done)
        assert "NOT CHECKED: the ML-DSA-44 signature of" in done.stdout
        assert "needs Python's cryptography 50 or later, this is 44.0.0" in done.stdout
    swap_root(published / "checkpoint")
    refused(run(["checkpoint", "checkpoint", "--policy", "policy"], published, (python,)))
