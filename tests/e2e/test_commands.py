"""The operator's commands on a running installation, and a backup that becomes a second one."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installation import Installation, wait_until
from tests.support.load import S3Door

pytestmark = pytest.mark.timeout(240)
BODY = bytes(range(256)) * 2000


@pytest.fixture(scope="module")
def own() -> Iterator[Installation]:
    """An installation with a bucket `kept` that holds a small and a larger object."""
    installation = Installation.fresh(objects__read_audit_seconds=0.05)
    with installation:
        put(installation, "/kept", b"")
        put(installation, "/kept/small", b"small")
        put(installation, "/kept/large", BODY)
        yield installation
    shutil.rmtree(installation.data, ignore_errors=True)


def put(installation: Installation, target: str, body: bytes) -> dict[str, str]:
    door = S3Door(installation)
    status, answer, headers = door.call("PUT", target, body)
    door.close()
    assert status == 200, answer
    return headers


def told(installation: Installation, *words: str) -> Any:
    return json.loads(installation.run(*words, "--json").stdout)


def test_status_names_the_roles(own: Installation) -> None:
    status = told(own, "status")
    assert status["running"] is True
    assert {"supervisor", "api", "work", "objects-0"} <= {role["name"] for role in status["roles"]}
    assert all(role["restarts"] == 0 for role in status["roles"] if "restarts" in role)
    assert own.run("status").stdout.strip()


def test_check_config_shows_every_setting(own: Installation) -> None:
    shown = own.run("check-config").stdout
    assert "lockout_seconds" in shown and "read_audit_seconds" in shown


def test_check_config_refuses_an_unknown_key(tmp_path: Path) -> None:
    other = Installation(tmp_path, "-", "-")
    (tmp_path / "andromede.toml").write_text("[server]\nregoin = 'x'\n")
    done = other.run("check-config", check=False)
    assert done.returncode != 0
    assert "regoin" in done.stdout


def test_doctor_ends_with_a_verdict(own: Installation) -> None:
    assert own.run("doctor", check=False).stdout.strip()


def test_the_trail_knows_the_upload_and_explains_its_request(own: Installation) -> None:
    request = put(own, "/kept/traced", b"traced")["x-amz-request-id"]
    wait_until("the event of the upload", lambda: own.run("explain", request, check=False).returncode == 0)
    assert "traced" in own.run("explain", request).stdout
    assert own.run("ledger", "tail").stdout.strip()
    exported = own.data / "events.jsonl"
    own.run("ledger", "export", "--project", "demo", "-o", str(exported))
    assert exported.stat().st_mode & 0o777 == 0o600
    assert request in exported.read_text()
    assert own.run("ledger", "status").returncode == 0


def test_the_access_table_is_printable(own: Installation) -> None:
    table = own.run("explain", "access").stdout
    assert "identity" in table and "reader" in table


def test_a_named_key_and_its_end(own: Installation) -> None:
    own.run("keys", "create", "demo", "--name", "e2e")
    assert "e2e" in own.run("keys", "list").stdout
    assert own.run("keys", "create", "nobody-has-this", "--name", "x", check=False).returncode != 0


def test_support_bundle_holds_no_secret(own: Installation, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    own.run("support-bundle", "-o", str(bundle))
    with tarfile.open(bundle) as archive:
        text = b"".join(archive.extractfile(entry).read() for entry in archive if entry.isfile())  # type: ignore[union-attr]
    assert text
    assert own.s3["AWS_SECRET_ACCESS_KEY"].encode() not in text
    assert own.clouds["andromede-admin"]["auth"]["password"].encode() not in text


def test_the_schema_is_current(own: Installation) -> None:
    assert own.run("migrate", "--check").returncode == 0


def test_fsck_is_clean_while_it_runs(own: Installation) -> None:
    assert own.run("fsck").returncode == 0


@pytest.mark.skipif("__import__('os').environ.get('ANDROMEDE_TEST_POSTGRES')", reason="restores into SQLite")
def test_a_backup_becomes_a_second_installation(own: Installation, tmp_path: Path) -> None:
    own.run("backup", str(tmp_path / "copy"))
    second = Installation(tmp_path / "second")
    second.run("restore", str(tmp_path / "copy"))
    with second:
        door = S3Door(second)
        assert door.call("GET", "/kept/small")[1] == b"small"
        assert door.call("GET", "/kept/large")[1] == BODY
        door.close()
        assert second.run("fsck").returncode == 0


LOADS = ["put", "get", "head", "mixed", "list", "delete", "put-large", "get-large", "multipart", "issue", "validate"]


def buckets(installation: Installation) -> bytes:
    door = S3Door(installation)
    status, answer, _ = door.call("GET", "/")
    door.close()
    assert status == 200, answer
    return answer


def test_the_program_measures_itself_and_removes_what_it_wrote(own: Installation) -> None:
    small = ("--size", "4096", "--large", "9M", "--connections", "2", "--seconds", "0.2")
    said = own.run("bench", *small, "--json").stdout  # what it says on standard error comes first
    done = json.loads(said[said.index("\n{") :])
    assert [row["operation"] for row in done["results"]] == LOADS
    assert all(row["failures"] == 0 and row["requests"] > 0 and row["per_second"] > 0 for row in done["results"])
    assert all(row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] for row in done["results"])
    rates = {row["operation"]: row for row in done["results"]}
    assert rates["delete"]["requests"] == 2 * 16
    assert rates["multipart"]["size"] == 9 << 20 and rates["multipart"]["mib_per_second"] > 0
    assert done["limits"]["flush_us"] > 0 and done["limits"]["interpreter_us"] > 0
    assert {"md5", "aes_gcm_seal", "memory_copy", "receive"} <= set(done["limits"])
    assert all(rate > 0 for rate in done["limits"].values())
    assert b"<Name>kept</Name>" in buckets(own) and b"<Name>bench-" not in buckets(own)
    assert not list(own.data.glob("limits-*"))


def test_a_part_of_the_measurement_brings_what_it_needs(own: Installation) -> None:
    done = own.run("bench", "--only", "get-large,validate", "--large", "1M", "--connections", "2", "--seconds", "0.1")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows if row[0] in LOADS and row[1].isdigit()] == ["put-large", "get-large", "validate"]
    assert "durable write" in done.stdout
    refused = own.run("bench", "--only", "everything", check=False)
    assert refused.returncode == 2 and "no such load: everything" in refused.stdout
    assert b"<Name>bench-" not in buckets(own)
