"""The monitor at work on a running cloud: as a tenant, as an auditor, and killed again and again."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.e2e.test_split_view import put
from tests.support.installation import COMMAND, Installation, wait_until

QUIET = {"pinned", "unwitnessed"}


def once(cloud: Installation, state: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = cloud.run("ledger", "monitor", *words, "--state", str(state), "--once", "--json", check=False)
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return done.returncode, found


def kinds(found: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in found["findings"]} - QUIET


def test_promises_of_a_running_cloud_are_kept(cloud: Installation, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    answers = put(cloud, [f"m-{n}" for n in range(20)])
    journal.write_text("".join(json.dumps(headers) + "\n" for headers in answers))
    last = int(answers[-1]["andromede-ledger"].split()[1])

    def kept() -> dict[str, Any] | None:
        status, found = once(cloud, tmp_path / "s", "--cloud", "andromede", "--journal", str(journal))
        assert (status, kinds(found)) == (0, set()), found
        return found if found["size"] > last else None

    found = wait_until("all promises", kept, 20)
    assert found["origin"] == answers[0]["andromede-ledger"].split()[0]
    lied = {"andromede-ledger": answers[3]["andromede-ledger"], "request_id": "req-of-mine"}
    with journal.open("a") as file:
        file.write(json.dumps(lied) + "\n")
    status, found = once(cloud, tmp_path / "s", "--cloud", "andromede", "--journal", str(journal))
    assert (status, kinds(found)) == (1, {"promise"})
    (evidence,) = (tmp_path / "s" / "evidence").iterdir()
    assert json.loads(evidence.read_text())["promised"]["request_id"] == "req-of-mine"


def test_auditors_find_every_number(cloud: Installation, tmp_path: Path) -> None:
    put(cloud, ["numbered"])

    def whole() -> dict[str, Any] | None:
        status, found = once(cloud, tmp_path, "--cloud", "andromede-admin", "--all")
        assert kinds(found) <= {"source-silent"}, found
        return found if status == 0 and found["size"] > 10 else None

    found = wait_until("a whole view", whole, 20)
    assert {"api-0", "objects-0", "work-0"} <= set(found["sources"])


def test_kill_9_at_any_moment_loses_nothing(cloud: Installation, tmp_path: Path) -> None:
    state = tmp_path / "s"
    words = ["ledger", "monitor", "--cloud", "andromede", "--state", str(state), "--interval", "0.05", "--keep"]
    for pause in (0.3, 0.5, 0.7, 0.9, 1.1):
        put(cloud, [f"k-{pause}-{n}" for n in range(30)])
        with subprocess.Popen(
            [*COMMAND, *words, "--data", str(cloud.data)], env=cloud.environment, stdout=subprocess.DEVNULL
        ) as process:
            time.sleep(pause)
            assert process.poll() is None
            process.kill()
    time.sleep(1.5)
    status, found = once(cloud, state, "--cloud", "andromede", "--keep")
    assert (status, kinds(found)) == (0, set()), found
    kept = {json.loads(line)["index"] for line in (state / "events.jsonl").read_text().splitlines()}
    assert kept == set(range(found["size"]))


def test_over_tls_with_the_clouds_own_authority(secure_cloud: Installation, tmp_path: Path) -> None:
    def fine() -> bool:
        status, found = once(secure_cloud, tmp_path / "s", "--cloud", "andromede-admin", "--log", "installation")
        assert kinds(found) <= {"absent", "source-silent"}, found
        return status == 0

    wait_until("the installation's log", fine, 20)
    (tmp_path / "token").write_text("not a token")
    words = ["--url", f"https://{secure_cloud.api}", "--token-file", str(tmp_path / "token")]
    assert "CERTIFICATE_VERIFY_FAILED" in once(secure_cloud, tmp_path / "t", *words)[1]["findings"][0]["text"]
    _, found = once(secure_cloud, tmp_path / "u", *words, "--cacert", str(secure_cloud.ca))
    assert "401" in found["findings"][0]["text"]
