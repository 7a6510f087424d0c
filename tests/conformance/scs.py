"""The domain manager check of the SCS standards: `python -m tests.conformance.scs CHECKOUT`.

The checkout of SovereignCloudStack/standards is the user's. Its script stops at the first failure; its lines that end
in PASS are counted. Exit code 1 when fewer pass than scs/passing.txt says.
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
from tests.conformance.results import LISTS
from tests.support.installation import Installation
from tests.support.keystone import Keystone

SCRIPT = Path("Tests/iam/domain-manager/domain-manager-check.py")


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


def check(checkout: Path, python: Path, scratch: Path) -> list[str]:
    """The checks that passed, in order."""
    command = [str(python), str(checkout.resolve() / SCRIPT), "--os-cloud", "andromede"]
    env = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=scratch, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout[-800:], done.stderr[-1500:], sep="\n")
    return [line.strip() for line in done.stdout.splitlines() if line.rstrip().endswith("PASS")]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of SovereignCloudStack/standards")
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("--venv", default="", help="virtual environment that has openstacksdk installed")
    parser.add_argument("--update", action="store_true", help="write how many pass")
    choice = parser.parse_args(words)
    python = environment("scs-env", "openstacksdk", "pyyaml", existing=choice.venv) / "bin" / "python"
    scratch = Path(tempfile.mkdtemp(prefix="scs-"))
    if choice.data:
        prepare(Installation(Path(choice.data), "-", "-"), scratch)
        passed = check(choice.checkout, python, scratch)
    else:
        with Installation(scratch / "cloud") as installation:
            prepare(installation, scratch)
            passed = check(choice.checkout, python, scratch)
    path = LISTS / "scs" / "passing.txt"
    if choice.update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{len(passed)}\n", encoding="utf-8")
    promised = int(path.read_text(encoding="utf-8")) if path.exists() else 0
    print(f"SCS domain manager: {promised} promised")
    print(f"{len(passed)} passed, {max(0, promised - len(passed))} failed", flush=True)
    return 1 if len(passed) < promised else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
