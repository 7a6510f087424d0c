"""Places of the ledger in the running program: answers name them, none is given twice, kill -9 leaves no hole."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from andromede.db import open_database
from tests.support.installation import Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.leaves import HEADER, leaves, named
from tests.support.load import S3Door
from tests.support.processes import processes

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def own() -> Iterator[Installation]:
    installation = Installation.fresh(server__object_workers=1)
    with installation:
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


@pytest.fixture(scope="module")
def door(own: Installation) -> Iterator[S3Door]:
    found = S3Door(own)
    assert found.call("PUT", "/places")[0] == 200
    assert found.call("PUT", "/places/k", b"data")[0] == 200
    yield found
    found.close()


def dsn(installation: Installation) -> str:
    return str(installation.settings.get("storage.database") or f"sqlite:///{installation.data}/andromede.db")


def whole(installation: Installation) -> bool:
    """Whether every place of every log has its event and nothing is held."""
    db = open_database(dsn(installation))
    try:
        rows = db.all(
            "SELECT l.tenant, l.allocated, count(e.position), max(e.position) FROM ledger_log l "
            "LEFT JOIN audit_event e ON e.tenant = l.tenant GROUP BY l.tenant, l.allocated"
        )
        held = db.all("SELECT 1 FROM ledger_lease")
        return not held and all(allocated == count == last + 1 for _, allocated, count, last in rows)
    finally:
        db.close()


def read_many(door: S3Door, count: int) -> list[tuple[str, str]]:
    """(request id, place) of so many reads."""
    found = []
    for _ in range(count):
        status, _, headers = door.call("GET", "/places/k")
        assert status == 200
        found.append((headers["x-amz-request-id"], headers[HEADER]))
    return found


def test_answers_of_both_ports_name_events_that_are_there(own: Installation, door: S3Door) -> None:
    status, _, headers = door.call("PUT", "/places/new", b"data")
    assert status == 200
    found = [(headers["x-amz-request-id"], headers[HEADER]), *read_many(door, 300)]
    user = Keystone.admin(own)
    answer = user.http.get(f"{own.identity_url}/v3/users", headers={"X-Auth-Token": user.token})
    assert answer.status_code == 200
    found.append((answer.headers["x-openstack-request-id"], answer.headers[HEADER]))
    user.http.close()
    assert len({place for _, place in found}) == len(found)
    wait_until("all places have events", lambda: whole(own), 10)
    db = open_database(dsn(own))
    for request_id, place in found[:: len(found) // 20]:
        (leaf,) = leaves(db, request_id)
        assert named(db, leaf) == place
    db.close()


def test_kill_9_leaves_no_hole_for_longer_than_the_restart(own: Installation, door: S3Door) -> None:
    read_many(door, 200)
    victims = [pid for pid, role in processes(own.data).items() if role == "objects"]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert not whole(own)
    wait_until(
        "the role is back",
        lambda: any(role == "objects" and pid not in victims for pid, role in processes(own.data).items()),
        20,
    )
    started = time.monotonic()
    wait_until("the holes are filled", lambda: whole(own), 20)
    assert time.monotonic() - started < 10


def test_a_stop_leaves_nothing_held(own: Installation, door: S3Door) -> None:
    again = S3Door(own)
    read_many(again, 100)
    again.close()
    own.stop()
    assert whole(own)
    own.start()
