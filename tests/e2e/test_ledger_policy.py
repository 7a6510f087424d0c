"""A tenant that chooses its own witness: from the call that names it to a receipt that the witness vouches for."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.installation import Installation
from tests.support.keystone import Keystone

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def two() -> Iterator[tuple[Installation, Installation]]:
    """The tenant's cloud, and the cloud of another operator that is to be the witness."""
    mine = Installation.fresh(ledger__private_witnesses=True, ledger__witness_seconds=0.5)
    other = Installation.fresh()
    with mine, other:
        yield mine, other
    for installation in (mine, other):
        shutil.rmtree(installation.data, ignore_errors=True)


def witness_of(installation: Installation) -> dict[str, Any]:
    """Name, key and URL of an installation's witness, as its PUT wants them."""
    found = httpx.get(f"http://{installation.api}/sovereignty/v1/installation").json()["witness"]
    return {"name": "other", "key": found["vkeys"][0], "url": found["url"]}


def test_a_receipt_under_the_tenants_own_policy(two: tuple[Installation, Installation], tmp_path: Path) -> None:
    mine, other = two
    other.run("witness", "trust", f"http://{mine.api}")
    user = Keystone.admin(mine)
    with contextlib.closing(user.http) as http:
        base, headers = f"http://{mine.api}/sovereignty/v1", {"X-Auth-Token": user.token}
        wanted = {"witnesses": [witness_of(other)], "quorum": "all"}
        answer = http.put(f"{base}/witnesses", json=wanted, headers=headers)
        assert answer.status_code == 200 and answer.json()["own_policy"], answer.text
        index, file, policy = answer.headers["andromede-ledger"].split()[1], tmp_path / "r", tmp_path / "policy"
        begin = time.monotonic()
        mine.run("ledger", "receipt", index, "--wait", "--cloud", "andromede-admin", "-o", str(file))
        assert time.monotonic() - begin < 60  # witnessed within a minute
        policy.write_bytes(http.get(f"{base}/policy", headers=headers).content)
        said = mine.run("ledger", "verify", str(file), "--policy", str(policy)).stdout
        assert "PROVEN" in said and "cosigned by 1 of 1 witnesses of the policy: other at" in said
        told = mine.run("ledger", "status", "--cloud", "andromede-admin").stdout
        assert "quorum witnesses met" in told and "run by: not told" in told
        assert http.delete(f"{base}/policy", headers=headers).status_code == 204
        assert not http.get(f"{base}/witnesses", headers=headers).json()["own_policy"]
    refuses_private_addresses(other, witness_of(mine))


def refuses_private_addresses(cloud: Installation, witness: dict[str, Any]) -> None:
    """Unless the operator allows it or named the witness too, a tenant cannot make the cloud call addresses behind
    its walls."""
    user = Keystone.admin(cloud)
    with contextlib.closing(user.http) as http:
        base, headers = f"http://{cloud.api}/sovereignty/v1/witnesses", {"X-Auth-Token": user.token}
        places = [
            "http://example.com/w",
            "https://127.0.0.1/w",
            "https://10.1.2.3/w",
            "https://[::1]/w",
            "https://localhost/w",
        ]
        for place in places:
            wanted = {"witnesses": [{**witness, "url": place}]}
            answer = http.put(base, json=wanted, headers=headers)
            assert answer.status_code == 400, place
            assert "must begin with https" in answer.text or "not a public address" in answer.text
