"""The SCS standards on what is here: `python -m tests.conformance.scs CHECKOUT`.

The checkout of SovereignCloudStack/standards is the user's. Its domain manager script (SCS-0302) stops at the first
failure; its lines that end in PASS are counted. Its runner of "SCS-compatible IaaS" gets every test case of the
specification as the demo user; most need compute, images, network and volumes, which are not here. Exit code 1 when
fewer pass than scs/passing.txt says, or a test case of scs/testcases.txt does not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.conformance.environment import environment
from tests.conformance.results import LISTS, Result, read_ids, verdict, write_ids
from tests.support.installation import Installation
from tests.support.keystone import Keystone

SCRIPT = Path("Tests/iam/domain-manager/domain-manager-check.py")
RUNNER = Path("Tests/iaas/openstack_test.py")
SPECIFICATION = Path("Tests/scs-compatible-iaas.yaml")
HEAD = "Test cases of SCS-compatible IaaS that pass without compute, images, network and volumes."


def prepare(installation: Installation, scratch: Path) -> None:
    """Two domains with a manager each, and the files that the check reads."""
    admin = Keystone.admin(installation)
    manager = admin.role("manager")
    domains = []
    for name in ("scs-test-domain-a", "scs-test-domain-b"):
        domain, person, password = admin.domain(name), f"{name}-manager", os.urandom(12).hex()
        user = admin.user(person, password, domain_id=domain)
        admin.call("PUT", f"/domains/{domain}/users/{user}/roles/{manager}")
        login = {"username": person, "password": password}
        domains.append({"name": name, "manager": login, "member_role": "member"})
    (scratch / "domain-manager-test.yaml").write_text(yaml.safe_dump({"domains": domains}), encoding="utf-8")
    cloud = {**installation.clouds["andromede"], "auth": {"auth_url": f"{installation.identity_url}/v3"}}
    (scratch / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"andromede": cloud}}), encoding="utf-8")


def _run(command: list[str], scratch: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONWARNINGS": "ignore", **more}
    return subprocess.run(command, cwd=scratch, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def check(checkout: Path, python: Path, scratch: Path) -> list[str]:
    """The checks of the domain manager script that passed, in order."""
    done = _run([str(python), str(checkout.resolve() / SCRIPT), "--os-cloud", "andromede"], scratch)
    if done.returncode != 0:
        print(done.stdout[-800:], done.stderr[-1500:], sep="\n")
    return [line.strip() for line in done.stdout.splitlines() if line.rstrip().endswith("PASS")]


def testcases(checkout: Path) -> list[str]:
    """The ids of the specification that its runner knows; those to be judged by hand are left out."""
    document = yaml.safe_load((checkout / SPECIFICATION).read_text(encoding="utf-8"))
    scripts = [script for script in document["scripts"] if RUNNER.name in script.get("executable", "")]
    return [str(case["id"]) for script in scripts for case in script["testcases"]]


def judge(checkout: Path, python: Path, scratch: Path, clouds: Path) -> list[Result]:
    """Every test case as the demo user: its lines are `id: PASS`, `FAIL` or `ABORT` (it could not be judged)."""
    wanted = testcases(checkout)
    command = [str(python), str(checkout.resolve() / RUNNER), "-c", "andromede", *wanted]
    done = _run(command, scratch, OS_CLIENT_CONFIG_FILE=str(clouds))
    told = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    if missing := [case for case in wanted if case not in told]:
        print(f"{len(missing)} test cases were not told", done.stderr[-1500:], sep="\n")
    outcome = {"PASS": "passed", "FAIL": "failed"}
    return [Result(case, outcome.get(told.get(case, ""), "skipped")) for case in wanted]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of SovereignCloudStack/standards")
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("--venv", default="", help="virtual environment that has openstacksdk and boto3 installed")
    parser.add_argument("--update", action="store_true", help="write what passes")
    choice = parser.parse_args(words)
    python = environment("scs-env", "openstacksdk", "pyyaml", "boto3", existing=choice.venv) / "bin" / "python"
    scratch = Path(tempfile.mkdtemp(prefix="scs-"))

    def both(installation: Installation) -> tuple[list[str], list[Result]]:
        prepare(installation, scratch)
        clouds = installation.data.resolve() / "clouds.yaml"
        return check(choice.checkout, python, scratch), judge(choice.checkout, python, scratch, clouds)

    if choice.data:
        passed, cases = both(Installation(Path(choice.data), "-", "-"))
    else:
        with Installation(scratch / "cloud") as installation:
            passed, cases = both(installation)
    path, listed = LISTS / "scs" / "passing.txt", LISTS / "scs" / "testcases.txt"
    if choice.update:
        path.write_text(f"{len(passed)}\n", encoding="utf-8")
        write_ids(listed, HEAD, (case.id for case in cases if case.outcome == "passed"))
    promised = int(path.read_text(encoding="utf-8")) if path.exists() else 0
    print(f"SCS domain manager: {promised} promised")
    print(f"{len(passed)} passed, {max(0, promised - len(passed))} failed", flush=True)
    counts = {word: sum(case.outcome == word for case in cases) for word in ("passed", "failed", "skipped")}
    print(f"SCS-compatible IaaS, {len(cases)} test cases: {counts['passed']} passed, {counts['failed']} failed, "
          f"{counts['skipped']} could not be judged", flush=True)  # fmt: skip
    return max(verdict("SCS-compatible IaaS", cases, read_ids(listed)), int(len(passed) < promised))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
