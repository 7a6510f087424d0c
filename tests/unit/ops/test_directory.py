"""The data directory, its client files, its lock, its log and its certificates."""

from __future__ import annotations

import json
import os
import ssl
import stat
import threading
from pathlib import Path

import pytest
import yaml

from andromede.clock import SystemClock
from andromede.errors import Conflict, Invalid, NotFound
from andromede.ops import clientfiles, layout, logfile, running, tls
from andromede.ops.clientfiles import AccessKey, Login, Places
from andromede.ops.layout import Layout
from tests.support.clock import FakeClock, FakeIds

HTTP = Places("http://127.0.0.1:1", "http://127.0.0.1:2", "fr1", None)
TLS = Places("https://host:3", "https://host:4", "de1", "/d/tls/ca.pem")


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> Layout:
    found = Layout(tmp_path / "data")
    assert layout.prepare(found, clock, ids) is True
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_closed_and_versioned(place: Layout, clock: FakeClock, ids: FakeIds) -> None:
    assert mode(place.data) == 0o700
    assert mode(place.manifest) == 0o600
    assert place.require()["format"] == layout.FORMAT
    assert layout.prepare(place, clock, ids) is False


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> None:
    (tmp_path / "photo").write_text("x")
    with pytest.raises(Conflict, match="photo"):
        layout.prepare(Layout(tmp_path), clock, ids)
    with pytest.raises(NotFound, match="andromede up"):
        Layout(tmp_path / "none").require()
    (tmp_path / "file").write_text("x")
    with pytest.raises(Invalid, match="cannot be used"):
        layout.prepare(Layout(tmp_path / "file"), clock, ids)


def test_an_open_or_newer_directory_is_refused(place: Layout, clock: FakeClock, ids: FakeIds) -> None:
    place.data.chmod(0o750)
    with pytest.raises(Invalid, match="chmod 700"):
        layout.prepare(place, clock, ids)
    place.data.chmod(0o700)
    place.manifest.write_text(json.dumps({"format": layout.FORMAT + 1, "program": "9.9"}))
    with pytest.raises(Invalid, match=r"9\.9"):
        layout.prepare(place, clock, ids)
    place.manifest.write_text("{")
    with pytest.raises(Invalid, match="restore"):
        place.require()


def test_client_files_are_private_and_well_formed(place: Layout) -> None:
    logins = [Login("andromede-admin", "admin", "admin", "p-1"), Login("andromede", "demo", "demo", "p_2")]
    clientfiles.write_clouds(place, logins, TLS)
    clientfiles.write_s3(place, AccessKey("AK", "SK"), TLS)
    clouds = yaml.safe_load(place.clouds.read_text())["clouds"]
    assert clouds["andromede"]["auth"] == {
        "auth_url": "https://host:3/identity/v3",
        "username": "demo",
        "password": "p_2",
        "project_name": "demo",
        "user_domain_id": "default",
        "project_domain_id": "default",
    }
    assert clouds["andromede-admin"]["cacert"] == "/d/tls/ca.pem"
    assert "AWS_ENDPOINT_URL=https://host:4\n" in place.s3_env.read_text()
    assert "AWS_CA_BUNDLE=/d/tls/ca.pem\n" in place.s3_env.read_text()
    assert mode(place.clouds) == mode(place.s3_env) == 0o600


def test_moving_keeps_what_the_owner_changed(place: Layout) -> None:
    clientfiles.write_clouds(place, [Login("andromede", "demo", "demo", "old")], HTTP)
    clientfiles.write_s3(place, AccessKey("AK", "SK"), HTTP)
    place.clouds.write_text(place.clouds.read_text().replace('"old"', '"my own"'))
    assert clientfiles.refresh(place, HTTP) == []
    assert clientfiles.refresh(place, TLS) == ["clouds.yaml", "s3.env"]
    cloud = yaml.safe_load(place.clouds.read_text())["clouds"]["andromede"]
    assert (cloud["auth"]["password"], cloud["auth"]["auth_url"]) == ("my own", "https://host:3/identity/v3")
    assert (cloud["cacert"], cloud["region_name"]) == ("/d/tls/ca.pem", "de1")
    assert clientfiles.refresh(place, HTTP) == ["clouds.yaml", "s3.env"]
    assert "cacert" not in place.clouds.read_text()
    assert place.s3_env.read_text().splitlines() == [
        "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=SK", "AWS_ENDPOINT_URL=http://127.0.0.1:2",
        "AWS_REGION=fr1", "AWS_DEFAULT_REGION=fr1",
    ]  # fmt: skip


def test_one_supervisor_per_directory(place: Layout, clock: FakeClock) -> None:
    assert not running.is_locked(place)
    assert running.stop(place, clock, 1.0) is False
    fd = running.acquire(place)
    assert fd > 2
    with pytest.raises(Conflict, match="andromede down") as caught:
        running.acquire(place)
    assert caught.value.reason == "running"
    assert running.is_locked(place)


def test_a_start_waits_for_what_was_killed_and_not_for_what_runs(place: Layout) -> None:
    clock = SystemClock()
    fd = running.acquire(place)
    state = running.Running(pid=2**22 + 1, started_us=0, api_url="", objects_url="", tls=False, region="", roles=[])
    running.write(place, state)
    freeing = threading.Timer(0.2, os.close, [fd])
    freeing.start()
    running.wait_killed(place, clock, 60.0)
    assert not running.is_locked(place)
    freeing.join()
    fd = running.acquire(place)
    begun = clock.monotonic()
    running.wait_killed(place, clock, 0.1)
    assert running.is_locked(place) and clock.monotonic() - begun >= 0.1
    running.clear(place)
    running.wait_killed(place, clock, 60.0)
    assert running.is_locked(place) and clock.monotonic() - begun < 60.0
    os.close(fd)


def test_logs_turn_over_and_keep_a_few(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for number in range(6):
        with path.open("a") as file:
            file.write(f"line {number}\n")
        assert logfile.turn_over(path, largest=1, kept=3) is True
        assert path.stat().st_size == 0
    assert logfile.turn_over(path, largest=1) is False
    assert (tmp_path / "a.log.1").read_text() == "line 5\n"
    assert len(list(tmp_path.iterdir())) == 4
    assert logfile.all_lines(path) == ["line 3", "line 4", "line 5"]
    path.write_text("x\ny\nz\n")
    assert logfile.last_lines(path, 2) == ["y", "z"]
    assert logfile.last_lines(tmp_path / "none", 2) == []


def test_the_local_authority_is_made_once_and_renews(place: Layout, clock: FakeClock, ids: FakeIds) -> None:
    made = tls.ensure(place, ["127.0.0.1"], clock, ids)
    first, authority = made.certificate.read_bytes(), made.ca.read_bytes()
    assert {mode(path) for path in (made.ca, made.ca_key, made.certificate, made.key)} == {0o600}
    assert tls.ensure(place, ["127.0.0.1"], clock, ids).certificate.read_bytes() == first
    tls.ensure(place, ["127.0.0.1", "cloud.example.org"], clock, ids)
    second = made.certificate.read_bytes()
    assert second != first
    clock.advance(380 * 86400)
    tls.ensure(place, ["127.0.0.1", "cloud.example.org"], clock, ids)
    assert made.certificate.read_bytes() != second
    assert made.ca.read_bytes() == authority
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    names = tls.load_certificate(made.certificate)
    assert "cloud.example.org" in str(names.extensions)
    with pytest.raises(Invalid, match="no certificate"):
        tls.load_certificate(place.manifest)
