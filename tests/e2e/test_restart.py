"""Rolling restarts: short form of `tests.campaign.rolling`, and what a restart takes over or refuses."""

from __future__ import annotations

import json
import ssl
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.campaign import rolling
from tests.support.installation import Installation
from tests.support.processes import processes

pytestmark = pytest.mark.timeout(300)


def pids(own: Installation) -> dict[str, int]:
    status = json.loads(own.run("status", "--json").stdout)
    return {role["name"]: role["pid"] for role in status["roles"] if "(" not in role["name"]}


def certificate(own: Installation) -> str:
    host, _, port = own.objects.partition(":")
    return ssl.get_server_certificate((host, int(port)), ca_certs=own.ca)


def token_seconds(own: Installation) -> float:
    user = {"name": "demo", "domain": {"id": "default"}, "password": own.clouds["andromede"]["auth"]["password"]}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    trust = ssl.create_default_context(cafile=own.ca)
    token = httpx.post(f"{own.identity_url}/v3/auth/tokens", json=body, verify=trust).json()["token"]
    issued, expires = (datetime.fromisoformat(token[name]) for name in ("issued_at", "expires_at"))
    return round((expires - issued).total_seconds())


def settings(own: Installation, text: str) -> None:
    (own.data / "andromede.toml").write_text(text)


def test_a_rolling_restart_drops_no_request(own: Installation) -> None:
    own.tls = True
    own.start()
    before, shown = pids(own), certificate(own)
    Path(own.data / "tls" / "server.pem").unlink()  # a new one is made
    settings(own, "[identity]\ntoken_seconds = 1234\n")
    found = rolling.run(own, 1, times=1)
    assert found["failures"] == []
    assert int(str(found["all"])) > 100
    after = pids(own)
    assert after["supervisor"] == before["supervisor"]
    assert not set(after.values()) & {pid for name, pid in before.items() if name != "supervisor"}
    assert certificate(own) != shown
    assert token_seconds(own) == 1234
    assert json.loads(own.run("ledger", "status", "--json").stdout)["gaps"] == []
    assert own.run("fsck", "--deep").returncode == 0
    own.stop()
    assert processes(own.data) == {}


def test_what_a_restart_cannot_do_is_refused_and_changes_nothing(own: Installation) -> None:
    assert own.run("restart", check=False).returncode != 0
    own.start()
    before = pids(own)
    for text, words in (
        ("[server]\nobject_workers = 3\n", "3 object workers"),
        ("[server]\nregionn = 1\n", "regionn"),
        ('[storage]\ns3_bucket = "elsewhere"\n', "storage"),
    ):
        settings(own, text)
        done = own.run("restart", check=False)
        assert (done.returncode, words in done.stdout, "nothing was changed" in done.stdout) == (1, True, True), done
    assert pids(own) == before
    (own.data / "andromede.toml").unlink()
    own.stop()
    assert processes(own.data) == {}
