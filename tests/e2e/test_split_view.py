"""A lying operator runs two clouds with one key: one history for the witness, another for the tenant."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support import postgres, verifier
from tests.support.installation import COMMAND, Installation, free_port, wait_until

pytestmark = pytest.mark.timeout(300)


class Proxy:
    """What the tenant sees as the cloud: everything comes from one installation, but the policy from the other."""

    def __init__(self, shown: str, policy: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target = policy if self.path.endswith("/policy") else shown
                request = urllib.request.Request(
                    f"http://{target}{self.path}", headers={"X-Auth-Token": self.headers.get("X-Auth-Token", "")}
                )
                try:
                    with urllib.request.urlopen(request, timeout=20) as answer:
                        status, body = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, body = error.code, error.read()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def put(cloud: Installation, keys: list[str]) -> list[dict[str, str]]:
    """Store small objects; the headers of the answers."""
    client = boto3.client(
        "s3", endpoint_url=cloud.objects_url, region_name="fr1",
        aws_access_key_id=cloud.s3["AWS_ACCESS_KEY_ID"], aws_secret_access_key=cloud.s3["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket="ledgered")
    answers = [client.put_object(Bucket="ledgered", Key=key, Body=b"x") for key in keys]
    return [answer["ResponseMetadata"]["HTTPHeaders"] for answer in answers]


def token(cloud: Installation) -> str:
    """A token of the demo user."""
    auth = cloud.clouds["andromede"]["auth"]
    user = {"name": auth["username"], "password": auth["password"], "domain": {"id": "default"}}
    scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    request = urllib.request.Request(
        f"http://{cloud.api}/identity/v3/auth/tokens", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers["X-Subject-Token"])


def get(cloud: Installation, path: str, secret: str) -> str:
    request = urllib.request.Request(f"http://{cloud.api}/sovereignty/v1{path}", headers={"X-Auth-Token": secret})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def cosigned(cloud: Installation, secret: str) -> int:
    """The size of the newest checkpoint that the witness signed."""
    with contextlib.suppress(urllib.error.HTTPError):
        note = get(cloud, "/checkpoint?witnessed=true", secret)
        return int(note.split("\n")[1]) if "— honest.example" in note else 0
    return 0


@pytest.fixture
def witness() -> Iterator[tuple[str, Installation]]:
    """URL of a witness that stands alone, and its directory."""
    own = Installation(Path(tempfile.mkdtemp(prefix="andromede-test-")))
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*COMMAND, "witness", "--listen", address, "--name", "honest.example", "--data", str(own.data)],
        env=own.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:

            def up() -> bool:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://{address}/sovereignty/v1/installation", timeout=5).close()
                    return True
                return False

            wait_until("the witness", up)
            yield f"http://{address}", own
        finally:
            process.terminate()
    shutil.rmtree(own.data, ignore_errors=True)


def test_two_clouds_with_one_key_are_convicted(witness: tuple[str, Installation], tmp_path: Path) -> None:
    url, own = witness
    if postgres.address("split"):
        pytest.skip("copies a data directory with its embedded database")
    true, false = Installation.fresh(), Installation.fresh()
    proxy = None
    try:
        with true:
            put(true, ["before"])
        shutil.rmtree(false.data)
        shutil.copytree(true.data, false.data, ignore=shutil.ignore_patterns("run"))
        with true, false:
            own.run("witness", "trust", f"http://{true.api}")
            true.run("witness", "trust", url)
            secret = token(true)
            (tmp_path / "token").write_text(secret)
            wait_until("the policy", lambda: "witness " in get(true, "/policy", secret))
            policy = get(true, "/policy", secret)
            (tmp_path / "own.policy").write_text(policy)
            index = int(put(true, ["true-1", "true-2"])[-1]["andromede-ledger"].split()[1])
            wait_until("the cosignature", lambda: cosigned(true, secret) > index, 60)
            journal = [{"ledger": h["andromede-ledger"], **h} for h in put(false, [f"false-{n}" for n in range(9)])]
            (tmp_path / "journal").write_text("".join(json.dumps(line) + "\n" for line in journal))
            proxy = Proxy(false.api, true.api)
            words = ["ledger", "monitor", "--url", proxy.url, "--token-file", str(tmp_path / "token"), "--once"]
            words += ["--policy", str(tmp_path / "own.policy"), "--state", str(tmp_path / "state")]
            words += ["--journal", str(tmp_path / "journal"), "--json"]
            done = own.run(*words, check=False)
    finally:
        if proxy is not None:
            proxy.close()
        for cloud in (true, false):
            cloud.stop()
            shutil.rmtree(cloud.data, ignore_errors=True)
    assert done.returncode == 1, done.stdout
    found = {one["kind"]: one for one in json.loads(done.stdout[done.stdout.index("{") :])["findings"]}
    kinds = {"not-a-prefix", "fork"} & set(found)
    assert kinds and "promise" not in found, done.stdout
    evidence = found[kinds.pop()]["evidence"]
    said = verifier.run(["contradiction", evidence, "--policy", "own.policy"], tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "CONTRADICTION" in said.stdout
