"""What a new user and an operator do: paste the commands, lose processes, move, back up, restore."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.support.installation import COMMAND, Installation, wait_until

pytestmark = pytest.mark.timeout(300)


def as_json(own: Installation, *words: str) -> Any:
    """The JSON document of one command."""
    done = subprocess.run(
        [*COMMAND, *words, "--data", str(own.data), "--json"],
        env=own.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return json.loads(done.stdout)


def s3(own: Installation) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=own.objects_url,
        region_name=own.s3["AWS_REGION"],
        aws_access_key_id=own.s3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=own.s3["AWS_SECRET_ACCESS_KEY"],
        verify=own.ca or None,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8}),
    )


def pids(own: Installation) -> dict[str, int]:
    return {role["name"]: role["pid"] for role in as_json(own, "status")["roles"]}


def test_the_three_commands_work_when_pasted(own: Installation) -> None:
    board = as_json(own, "up", "--listen", own.api, "--objects", own.objects, "--detach")
    assert board["first_administrator"]["user"] == "admin"
    assert len(board["next"]) == 3
    plain = {name: value for name, value in own.environment.items() if not name.startswith(("AWS_", "OS_"))}
    said = [
        subprocess.run(["bash", "-c", command], env=plain, capture_output=True, text=True, timeout=120)
        for command in board["next"]
    ]
    assert [done.returncode for done in said] == [0, 0, 0], [done.stderr for done in said]
    assert "hello" in said[1].stdout
    assert "PutObject" in said[2].stdout


@pytest.mark.parametrize("client", ["aws", "rclone", "curl"])
def test_the_object_command_fits_each_client(cloud: Installation, client: str) -> None:
    if not shutil.which(client):
        pytest.skip(f"{client} is not installed")
    from andromede.cli.board import store_command
    from andromede.ops.layout import Layout

    command = store_command(Layout(cloud.data), client)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert "hello" in done.stdout, done.stderr


def test_up_on_a_running_directory_says_so(own: Installation) -> None:
    own.start()
    again = own.run("up", "--detach")
    assert "already runs" in again.stdout
    assert own.run("up", check=False).returncode == 1
    assert as_json(own, "status")["running"] is True
    other = own.run("up", "--listen", own.api, "--detach", "--data", str(own.data) + "-b", check=False)
    shutil.rmtree(str(own.data) + "-b", ignore_errors=True)
    assert other.returncode == 0  # the last --data names the directory: it runs already


def test_a_taken_port_is_said(own: Installation, cloud: Installation) -> None:
    done = own.run("up", "--listen", cloud.api, "--objects", own.objects, "--detach", check=False)
    assert done.returncode == 1
    assert "in use" in done.stdout


def is_ready(own: Installation) -> bool:
    try:
        return httpx.get(f"http://{own.api}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_roles_that_are_killed_come_back(own: Installation) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="kept")
    before = pids(own)
    for name in ("api", "objects-0", "objects-1", "work"):
        os.kill(before[name], signal.SIGKILL)
        client.put_object(Bucket="kept", Key=name, Body=name.encode())

    def back() -> bool:
        now = pids(own)
        return all(now[name] not in (0, before[name]) for name in ("api", "objects-0", "objects-1", "work"))

    wait_until("every role started again", back)
    wait_until("the API answers", lambda: is_ready(own))
    listed = client.list_objects_v2(Bucket="kept")["Contents"]
    assert [entry["Key"] for entry in listed] == ["api", "objects-0", "objects-1", "work"]
    assert as_json(own, "ledger", "status")["gaps"] == []


def test_roles_end_with_their_supervisor(own: Installation) -> None:
    own.start()
    before = pids(own)
    os.kill(before["supervisor"], signal.SIGKILL)

    def ended() -> bool:
        return not any(Path(f"/proc/{pid}/stat").exists() and not _zombie(pid) for pid in before.values())

    wait_until("the roles ended", ended)
    assert as_json(own, "status")["running"] is False
    own.start()
    assert as_json(own, "status")["running"] is True


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")


def test_ctrl_c_ends_in_order(own: Installation) -> None:
    command = [*COMMAND, "up", "--listen", own.api, "--objects", own.objects, "--data", str(own.data)]
    with subprocess.Popen(command, env=own.environment, stdout=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        first = shown.stdout.readline()
        assert "is ready" in first
        while "Ctrl-C" not in shown.stdout.readline():
            pass
        shown.send_signal(signal.SIGINT)
        assert shown.wait(30) == 0
    assert as_json(own, "status")["running"] is False
    tail = as_json_lines(own)
    assert {event["event"]["source"] for event in tail if event["event"]["action"] == "source.stop"} == {
        "api-0", "objects-0", "objects-1", "work-0",
    }  # fmt: skip


def as_json_lines(own: Installation) -> list[dict[str, Any]]:
    done = own.run("ledger", "tail", "-n", "100", "--json")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_tls_everywhere_and_back(own: Installation) -> None:
    own.tls = True
    own.start()
    assert own.objects_url.startswith("https://")
    assert own.ca == str(own.data / "tls" / "ca.pem")
    assert httpx.get(f"https://{own.api}/readyz", verify=ssl.create_default_context(cafile=own.ca)).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"https://{own.api}/readyz")
    s3(own).create_bucket(Bucket="safe")
    own.stop()
    own.tls = False
    own.start()
    assert own.ca is None
    assert [bucket["Name"] for bucket in s3(own).list_buckets()["Buckets"]] == ["safe"]


def test_tls_1_2_is_spoken_with_forward_secrecy_and_authenticated_encryption(secure_cloud: Installation) -> None:
    def offer(address: str, ciphers: str) -> str:
        context = ssl.create_default_context(cafile=secure_cloud.ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), 30) as raw,
            context.wrap_socket(raw, server_hostname=host) as s,
        ):
            return str((s.cipher() or ("",))[0])

    for address in (secure_cloud.api, secure_cloud.objects):
        for good in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
            assert offer(address, good) == good
        for weak in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                offer(address, weak)


def test_a_backup_of_a_working_cloud_restores_elsewhere(own: Installation, tmp_path: Path) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="kept")
    bodies = {f"k{n}": bytes([n]) * (10 if n % 2 else 300_000) for n in range(20)}
    for key, body in bodies.items():
        client.put_object(Bucket="kept", Key=key, Body=body)
    made = as_json(own, "backup", str(tmp_path / "copy"))
    assert made["blobs"] > 0
    assert as_json(own, "status")["backup"]["dest"] == str(tmp_path / "copy")
    whole = b"".join(path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file())
    for secret in (own.s3["AWS_SECRET_ACCESS_KEY"], "kept", own.clouds["andromede"]["auth"]["password"]):
        assert secret.encode() not in whole
    client.delete_object(Bucket="kept", Key="k1")
    own.stop()
    second = Installation.fresh()
    second.run("restore", str(tmp_path / "copy"))
    with second:
        found = s3(second)
        for key, body in bodies.items():
            assert found.get_object(Bucket="kept", Key=key)["Body"].read() == body
        assert second.run("fsck", "--deep").returncode == 0
    shutil.rmtree(second.data)


def test_an_operator_sees_why(own: Installation) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="kept")
    put = client.put_object(Bucket="kept", Key="k", Body=b"x")
    request_id = put["ResponseMetadata"]["RequestId"]
    event = as_json(own, "explain", request_id)["events"][0]["event"]
    assert (event["action"], event["outcome"]) == ("s3:PutObject", "success")
    may = as_json(own, "explain", "access", "demo", "identity:list_users")
    assert may["allowed"] is False
    keys = as_json(own, "keys", "list")["keys"]
    assert {key["level"] for key in keys} == {"tenant", "container"}
    tenant = next(key["id"] for key in keys if key["level"] == "tenant")
    own.run("keys", "disable", tenant[:8])
    with pytest.raises(client.exceptions.ClientError):
        client.get_object(Bucket="kept", Key="k")
    own.run("keys", "enable", tenant)
    assert client.get_object(Bucket="kept", Key="k")["Body"].read() == b"x"
    own.run("keys", "rotate", tenant)
    assert client.get_object(Bucket="kept", Key="k")["Body"].read() == b"x"
    assert own.run("doctor").returncode == 0
    assert own.run("migrate").returncode == 0
    measured = as_json(own, "bench", "--seconds", "0.5", "--connections", "4", "--only", "put,get")
    assert [row["failures"] for row in measured["results"]] == [0, 0]


def test_places_that_nothing_used_are_no_news(own: Installation) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="kept")
    client.put_object(Bucket="kept", Key="k", Body=b"x")
    for _ in range(30):
        client.get_object(Bucket="kept", Key="k")

    def padded() -> bool:
        told = own.run("ledger", "tail", "-n", "500", "--json", "--project", "demo").stdout
        return '"ledger.pad"' in told

    wait_until("leased places are filled", padded)
    for door in ((), ("--cloud", "andromede")):
        words = ("ledger", "tail", "-n", "40", *door)
        shown = own.run(*words, *(() if door else ("--project", "demo"))).stdout
        assert "s3:PutObject" in shown and "ledger.pad" not in shown
        assert "ledger.pad" in own.run(*words, "--all").stdout
    assert len(own.run("ledger", "tail", "-n", "5", "--project", "demo").stdout.splitlines()) == 5


def test_an_object_is_named_to_explain_who_may_read_it(own: Installation) -> None:
    own.start()
    said = own.run("explain", "access", "demo", "s3:GetObject", check=False)
    assert said.returncode == 1
    assert "andromede explain access demo s3:GetObject BUCKET[/KEY]" in said.stdout


def test_the_port_alone_is_address_enough_for_identity(cloud: Installation) -> None:
    shown = httpx.get(f"http://{cloud.api}/").json()
    assert [row["links"][0]["href"] for row in shown["versions"]["values"]] == [f"{cloud.identity_url}/v3/"]


def test_a_bundle_for_support_holds_no_tenant_data(own: Installation, tmp_path: Path) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="canary-bucket-5d7")
    client.put_object(Bucket="canary-bucket-5d7", Key="canary-key-5d7", Body=b"canary-body-5d7")
    own.run("support-bundle", "-o", str(tmp_path / "bundle.tar.gz"))
    content = subprocess.run(["tar", "xzOf", str(tmp_path / "bundle.tar.gz")], capture_output=True, check=True).stdout
    secrets = [own.s3["AWS_SECRET_ACCESS_KEY"], own.s3["AWS_ACCESS_KEY_ID"], "5d7"]
    secrets += [cloud["auth"]["password"] for cloud in own.clouds.values()]
    assert [secret for secret in secrets if secret.encode() in content] == []
    assert b"versions.json" not in content
    assert b'"python"' in content


def test_an_api_port_of_its_own_choice_is_told(own: Installation) -> None:
    own.start()
    own.stop()
    command = [*COMMAND, "serve", "api", "--listen", "127.0.0.1:0", "--data", str(own.data)]
    with subprocess.Popen(command, env=own.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("serving ").strip()
        try:
            assert httpx.get(f"{url}/readyz").status_code == 200
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_roles_can_be_started_apart(own: Installation) -> None:
    own.start()
    own.stop()
    words = {
        "api": ["serve", "api", "--listen", own.api],
        "objects": ["serve", "objects", "--objects", own.objects],
        "work": ["work"],
    }
    started: list[subprocess.Popen[str]] = []
    try:
        for role in words.values():
            command = [*COMMAND, *role, "--data", str(own.data)]
            process = subprocess.Popen(command, env=own.environment, stdout=subprocess.PIPE, text=True)
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline().startswith(("serving", "working"))
        assert httpx.get(f"http://{own.api}/readyz").status_code == 200
        s3(own).create_bucket(Bucket="apart")
        assert own.run("up", check=False).returncode == 1
        assert "started apart" in own.run("status").stdout
    finally:
        for process in started:
            process.terminate()
        codes = [process.wait(30) for process in started]
        for process in started:
            assert process.stdout is not None
            process.stdout.close()
    assert codes == [0, 0, 0]
    own.start()
    assert [bucket["Name"] for bucket in s3(own).list_buckets()["Buckets"]] == ["apart"]


def test_lost_client_files_can_be_made_again(own: Installation) -> None:
    own.start()
    client = s3(own)
    client.create_bucket(Bucket="kept")
    before = own.s3, own.clouds
    (own.data / "clouds.yaml").unlink()
    (own.data / "s3.env").unlink()
    own.run("recover-admin", "--yes")
    assert own.s3["AWS_ACCESS_KEY_ID"] != before[0]["AWS_ACCESS_KEY_ID"]
    assert own.s3["AWS_ENDPOINT_URL"] == before[0]["AWS_ENDPOINT_URL"]
    assert [bucket["Name"] for bucket in s3(own).list_buckets()["Buckets"]] == ["kept"]
    assert log_in(own, own.clouds["andromede-admin"]["auth"]) == 201
    assert log_in(own, before[1]["andromede-admin"]["auth"]) == 401


def log_in(own: Installation, auth: dict[str, str]) -> int:
    user = {"name": auth["username"], "domain": {"id": "default"}, "password": auth["password"]}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    return httpx.post(f"{auth['auth_url']}/auth/tokens", json=body).status_code


def test_credentials_of_a_first_start_that_was_cut_short_are_made_again(own: Installation) -> None:
    own.start()
    own.stop()
    for name in ("clouds.yaml", "s3.env"):
        (own.data / name).unlink()
    (own.data / "run" / "first-start").touch()
    own.start()
    assert log_in(own, own.clouds["andromede-admin"]["auth"]) == 201
    assert not (own.data / "run" / "first-start").exists()


@pytest.mark.parametrize("lost", ["root.json", "credential", "ledger.json"])
def test_lost_keys_are_refused_not_replaced(own: Installation, lost: str) -> None:
    own.start()
    s3(own).create_bucket(Bucket="kept")
    own.stop()
    (own.data / "keys" / lost).rename(own.data / "aside")
    done = own.run("up", "--listen", own.api, "--objects", own.objects, "--detach", check=False)
    assert done.returncode == 1
    assert "restore" in done.stdout
    assert not (own.data / "keys" / lost).exists()
    (own.data / "aside").rename(own.data / "keys" / lost)
    own.start()
    assert [bucket["Name"] for bucket in s3(own).list_buckets()["Buckets"]] == ["kept"]


@pytest.mark.parametrize("other", ["", "{}", None])
def test_other_log_keys_do_not_sign_on(own: Installation, other: str | None) -> None:
    own.start()
    wait_until("a checkpoint", lambda: as_json(own, "ledger", "status")["logs"][0]["checkpoint"] is not None)
    own.stop()
    file = own.data / "keys" / "ledger.json"
    right = file.read_text()
    seeds = {word: base64.b64encode(bytes(32)).decode() for word in ("ed25519", "mldsa44")}
    file.write_text(json.dumps({"v": 1, **seeds}) if other is None else other)
    done = own.run("up", "--listen", own.api, "--objects", own.objects, "--detach", check=False)
    assert done.returncode == 1 and "restore" in done.stdout
    file.write_text(right)
    own.start()


def test_a_sealed_root_key_needs_its_phrase(own: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROMEDE_PASSPHRASE", "correct horse")
    own.start()
    own.stop()
    assert "sealed" in as_json(own, "status")["custody"]
    for phrase in ("", "wrong"):
        monkeypatch.setenv("ANDROMEDE_PASSPHRASE", phrase)
        done = own.run("up", "--listen", own.api, "--objects", own.objects, "--detach", check=False)
        assert done.returncode == 1
        assert "passphrase" in done.stdout
    monkeypatch.setenv("ANDROMEDE_PASSPHRASE", "correct horse")
    own.start()


def test_a_tenant_reads_its_own_trail(own: Installation) -> None:
    own.start()
    s3(own).create_bucket(Bucket="kept")
    told = own.run("ledger", "tail", "--cloud", "andromede", "--json")
    events = [json.loads(line)["event"] for line in told.stdout.splitlines()]
    assert "s3:CreateBucket" in {event["action"] for event in events}
    assert not {event["action"] for event in events} & {"source.start", "identity:bootstrap"}
    everything = own.run("ledger", "tail", "--cloud", "andromede-admin", "--json").stdout
    assert "source.start" in everything
    other = own.run("ledger", "tail", "--cloud", "andromede", "--project", "f" * 32, check=False)
    assert other.returncode == 1
    assert "403" in other.stdout
    assert own.run("ledger", "tail", "--cloud", "nowhere", check=False).returncode == 1
