"""The tenant's side of the ledger on the running program: commands, calls, roles."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.support.installation import ROOT, Installation, wait_until
from tests.support.keystone import Keystone

VERIFIER = ROOT / "src" / "andromede" / "sovereignty" / "files" / "andromede-verify"


def objects(cloud: Installation) -> Any:
    return boto3.client(
        "s3", endpoint_url=cloud.objects_url, region_name="fr1",
        aws_access_key_id=cloud.s3["AWS_ACCESS_KEY_ID"], aws_secret_access_key=cloud.s3["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def put(cloud: Installation, key: str) -> dict[str, str]:
    """Store a small object; the headers of the answer."""
    client = objects(cloud)
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="ledgered")
    done: dict[str, str] = client.put_object(Bucket="ledgered", Key=key, Body=b"x")["ResponseMetadata"]["HTTPHeaders"]
    return done


def api(cloud: Installation, user: Keystone, path: str) -> httpx.Response:
    return user.http.get(f"http://{cloud.api}/sovereignty/v1{path}", headers={"X-Auth-Token": user.token})


def receipt(cloud: Installation, user: Keystone, index: str) -> httpx.Response | None:
    """The answer with the receipt, None while it is not ready."""
    answer = api(cloud, user, f"/receipts/{index}")
    return answer if answer.status_code == 200 else None


def offline(*words: object) -> subprocess.CompletedProcess[str]:
    """The published verifier, without the product on its path."""
    command = [sys.executable, "-E", str(VERIFIER), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, timeout=60)


@pytest.fixture(scope="module")
def auditor(cloud: Installation, admin: Keystone) -> Iterator[Keystone]:
    """A user whose only role is `auditor`, on the system."""
    made = admin.user("controller", "correct horse controller")
    admin.call("PUT", f"/system/users/{made}/roles/{admin.role('auditor')}")
    identity = {"methods": ["password"], "password": {"user": {"id": made, "password": "correct horse controller"}}}
    with httpx.Client(timeout=60, trust_env=False) as http:
        body = {"auth": {"identity": identity, "scope": {"system": {"all": True}}}}
        answer = http.post(f"{admin.url}/auth/tokens", json=body)
        assert answer.status_code == 201
        yield Keystone(admin.url, http, token=answer.headers["x-subject-token"])


def test_an_upload_has_its_receipt_within_seconds(cloud: Installation, demo: Keystone, tmp_path: Path) -> None:
    header = put(cloud, "prompt")["andromede-ledger"]
    begin = time.monotonic()
    answer = wait_until("the receipt", lambda: receipt(cloud, demo, header.split()[1]), 10, 0.05)
    assert time.monotonic() - begin < 5
    (tmp_path / "r.tlog-proof").write_bytes(answer.content)
    (tmp_path / "policy").write_bytes(api(cloud, demo, "/policy").content)
    found = offline("receipt", "--policy", tmp_path / "policy", "--json", tmp_path / "r.tlog-proof")
    told = json.loads(found.stdout)["results"][0]
    assert found.returncode == 0 and told["proven"] and told["origin"] == header.split()[0]
    assert json.loads(told["event"])["object"] == "ledgered/prompt?v=null"


def test_the_commands_give_and_judge_receipts(cloud: Installation, tmp_path: Path) -> None:
    headers = put(cloud, "by-command")
    origin, index = headers["andromede-ledger"].split()
    files = [str(tmp_path / name) for name in ("a", "b", "c", "d")]
    cloud.run("ledger", "receipt", origin, index, "-o", files[0], "--wait")
    cloud.run("ledger", "receipt", "--request", headers["x-amz-request-id"], "-o", files[1])
    cloud.run("ledger", "receipt", headers["x-amz-request-id"], "--cloud", "andromede", "-o", files[2])
    cloud.run("ledger", "receipt", origin, index, "--cloud", "andromede-admin", "-o", files[3])
    assert all(Path(file).stat().st_mode & 0o777 == 0o600 for file in files)
    for more in ((), ("--cloud", "andromede")):
        said = cloud.run("ledger", "verify", *files, *more).stdout
        assert said.count("PROVEN") == 4 and "by-command" in said and "unwitnessed" in said
    lines = Path(files[0]).read_text().split("\n")
    raw = bytearray(base64.b64decode(lines[1].removeprefix("extra ")))
    raw[-10] ^= 1
    Path(files[1]).write_text("\n".join([lines[0], f"extra {base64.b64encode(raw).decode()}", *lines[2:]]))
    assert cloud.run("ledger", "verify", files[1], check=False).returncode == 1
    Path(files[2]).write_text("nothing of the kind")
    assert cloud.run("ledger", "verify", files[2], files[0], check=False).returncode == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("receipt",), "give one INDEX"),
        (("receipt", "x"), "neither an index"),
        (("receipt", "3"), "say which log"),
        (("receipt", "3", "--project", "nowhere"), "no log 'nowhere'"),
        (("receipt", "99999999", "--project", "demo"), "has no entry"),
        (("receipt", "99999999", "--cloud", "andromede"), "has no entry"),
        (("receipt", "req-none"), "left no event here"),
        (("receipt", "req-none", "--cloud", "andromede"), "hold none of request"),
        (("verify", "absent"), "cannot read absent"),
        (("export",), "every log needs a directory"),
        (("erase", "0", "--yes"), "not authorized"),
    ],
)
def test_refusals_say_why_and_what_next(cloud: Installation, words: tuple[str, ...], said: str) -> None:
    done = cloud.run("ledger", *words, check=False)
    assert done.returncode in (1, 2) and said in done.stdout and "Traceback" not in done.stdout


def test_whole_logs_are_exported_and_recomputed_offline(cloud: Installation, tmp_path: Path) -> None:
    put(cloud, "exported")
    one, two, every = tmp_path / "one", tmp_path / "two.jsonl", tmp_path / "every"
    cloud.run("ledger", "export", "--project", "demo", "-o", str(one))
    cloud.run("ledger", "export", "--cloud", "andromede", "-o", str(two))
    cloud.run("ledger", "export", "-o", str(every))
    assert two.stat().st_mode & 0o777 == 0o600 and len(list(every.iterdir())) >= 2
    for place in (one, two, *every.iterdir()):
        found = offline("log", place, "--json")
        assert found.returncode == 0, found.stdout + found.stderr
    assert cloud.run("ledger", "verify", str(one)).returncode == 0
    lines = (one / "log.jsonl").read_text().splitlines()
    changed = json.loads(lines[1])
    changed["event"] = changed["event"].replace("success", "denied")
    (one / "log.jsonl").write_text("\n".join([lines[0], json.dumps(changed), *lines[2:]]) + "\n")
    assert offline("log", one).returncode == 1
    assert cloud.run("ledger", "verify", str(one), check=False).returncode == 1


def test_status_speaks_plainly(cloud: Installation) -> None:
    said = cloud.run("ledger", "status").stdout
    assert "unwitnessed" in said and "gaps: none" in said and "project:demo" in said
    found = json.loads(cloud.run("ledger", "status", "--json").stdout)
    log = next(row for row in found["logs"] if row["project_id"])
    assert log["checkpoint"]["size"] <= log["allocated"] and log["retention"]["event_days"] == 365
    assert "unwitnessed" in cloud.run("ledger", "status", "--cloud", "andromede").stdout
    tail = json.loads(cloud.run("ledger", "tail", "-n", "1", "--project", log["project_id"], "--json").stdout)
    assert isinstance(tail["index"], int)
    assert "#" in cloud.run("ledger", "tail", "-n", "1").stdout


def test_the_catalog_leads_to_the_ledger(cloud: Installation, demo: Keystone) -> None:
    url = demo.endpoint("sovereignty")
    assert url == f"http://{cloud.api}/sovereignty/v1"
    assert demo.http.get(f"{url}/checkpoint", headers={"X-Auth-Token": demo.token}).status_code == 200
    assert httpx.get(f"{url}/checkpoint").status_code == 401
    assert httpx.get(f"{url}/andromede-verify").content == VERIFIER.read_bytes()


def test_an_auditor_reads_logs_and_never_data(cloud: Installation, demo: Keystone, auditor: Keystone) -> None:
    """The State can control without reading: checkpoints, tiles and events of any tenant, no object."""
    put(cloud, "unread")
    for name in (demo.project_id, "installation"):
        for path in ("checkpoint", "tile/0/000.p/1", "events?newest=3", "status", "roots"):
            assert api(cloud, auditor, f"/logs/{name}/{path}").status_code == 200, path
    store = demo.endpoint("object-store")
    for path in ("", "/ledgered", "/ledgered/unread"):
        answer = auditor.http.get(store + path, headers={"X-Auth-Token": auditor.token})
        assert answer.status_code in (401, 403) and answer.content != b"x"
    last = json.loads(api(cloud, demo, "/events?newest=20").json()["events"][-1]["event"])
    assert last["purpose"] in ("OPERATOR_REVIEW", "CUSTOMER_ACCESS")


def test_foreign_logs_are_absent(cloud: Installation, demo: Keystone, admin: Keystone) -> None:
    """L8, on the running program."""
    for name in (admin.project_id, "installation", "0" * 16):
        for path in ("checkpoint", "tile/0/000.p/1", "events", "receipts/0", "policy", "witnesses", "status", "roots"):
            assert api(cloud, demo, f"/logs/{name}/{path}").status_code == 404


def test_a_manager_erases_one_event(cloud: Installation, admin: Keystone) -> None:
    index = api(cloud, admin, "/events?newest=1").headers["andromede-ledger"].split()[1]
    wait_until("the checkpoint", lambda: api(cloud, admin, f"/receipts/{index}").status_code == 200)
    cloud.run("ledger", "erase", index, "--yes", "--cloud", "andromede-admin")
    assert api(cloud, admin, f"/receipts/{index}").status_code == 410
    newest = api(cloud, admin, "/events?newest=30").json()["events"]
    told = [json.loads(row["event"]) for row in newest if row["event"]]
    assert any(event["purpose"] == "ERASURE" and event["detail"]["index"] == int(index) for event in told)
    assert "content removed" in cloud.run("ledger", "tail", "-n", "40", "--project", admin.project_id).stdout


def test_this_month_has_its_root(cloud: Installation, demo: Keystone) -> None:
    months = wait_until("the month's root", lambda: api(cloud, demo, "/roots").json()["months"], 90)
    assert len(months) == 1 and months[0]["pages"] == 1


def test_everything_can_go_to_standard_output(cloud: Installation, tmp_path: Path) -> None:
    origin, index = put(cloud, "shown")["andromede-ledger"].split()
    for more in ((), ("--cloud", "andromede")):
        shown = cloud.run("ledger", "receipt", origin, index, *more).stdout
        assert shown.startswith("c2sp.org/tlog-proof@v1\n") and shown.endswith("=\n")
    told = json.loads(cloud.run("ledger", "receipt", origin, index, "--json").stdout)
    assert (told["origin"], told["index"]) == (origin, int(index)) and "tlog-proof" in told["receipt"]
    (tmp_path / "out.jsonl").write_text(cloud.run("ledger", "export", "--cloud", "andromede").stdout)
    (tmp_path / "policy").write_text(cloud.run("ledger", "policy", "--cloud", "andromede").stdout)
    found = offline("log", tmp_path / "out.jsonl", "--policy", tmp_path / "policy")
    assert found.returncode == 0 and "own policy" not in found.stdout
    judged = json.loads(
        cloud.run(
            "ledger", "verify", str(tmp_path / "out.jsonl"), "--policy", str(tmp_path / "policy"), "--json"
        ).stdout
    )
    assert judged["proven"] and judged["results"][0]["policy"] == "own"
    assert cloud.run("ledger", "tail", "-n", "2", "--cloud", "andromede").stdout.count("project:") == 2
    (tmp_path / "file").write_text("")
    refused = cloud.run("ledger", "export", "--project", "demo", "-o", str(tmp_path / "file" / "x"), check=False)
    assert refused.returncode == 1 and "name a directory" in refused.stdout


def test_a_project_has_its_log_from_its_making_on(cloud: Installation, admin: Keystone) -> None:
    made = admin.call("POST", "/projects", {"project": {"name": "silent", "domain_id": "default"}})["project"]["id"]
    assert cloud.run("ledger", "receipt", "0", "--project", "silent").stdout.startswith("c2sp.org/tlog-proof@v1")
    refused = cloud.run("ledger", "receipt", "99", "--project", "silent", check=False)
    assert refused.returncode == 1 and "has no entry 99" in refused.stdout
    assert api(cloud, admin, f"/logs/{made}/receipts/99").status_code == 404
