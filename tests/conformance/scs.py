"""The SCS standards on what is here: `python -m tests.conformance.scs CHECKOUT`.

The checkout of SovereignCloudStack/standards is the user's. Its domain manager script (SCS-0302) stops at the first
failure; its lines that end in PASS are counted. Its compliance checker judges "SCS-compatible IaaS" VERSION as the demo
user of an installation that hosts; its report counts, not its exit code. Then the recommended test cases are tried.
Exit code 1 when fewer checks pass than scs/passing.txt says, or a test case of scs/testcases.txt does not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from andromede.images.provided import OFFERS
from tests.conformance.environment import environment
from tests.conformance.results import LISTS, Result, read_ids, verdict, write_ids
from tests.support import hosted
from tests.support.installation import Installation
from tests.support.keystone import Keystone

SCRIPT = Path("Tests/iam/domain-manager/domain-manager-check.py")
RUNNER = Path("Tests/iaas/openstack_test.py")
CHECKER = Path("Tests/scs-compliance-check.py")
SPECIFICATION = Path("Tests/scs-compatible-iaas.yaml")
VERSION = "v5.1"
QUICK = r"^(?!scs-0101)"
"""All but the test cases that start a guest with a whole distribution, which takes minutes without KVM."""
HEAD = "Test cases of SCS-compatible IaaS that pass; a lost one fails the build"
UBUNTU = {
    "name": "Ubuntu 24.04",
    "os_distro": "ubuntu",
    "os_version": "24.04",
    "image_source": "https://cloud-images.ubuntu.com/noble/",
    "image_description": "stands in for the image of that name, which the suite does not start",
}


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


def judge(checkout: Path, python: Path, scratch: Path, clouds: Path, only: str) -> list[Result]:
    """The mandatory test cases by the report of the compliance checker, and the recommended ones by their runner."""
    report = scratch / "report.yaml"
    command = [str(python), str(checkout.resolve() / CHECKER), "-V", VERSION, "-s", "andromede"]
    command += ["-a", "os_cloud=andromede", "-o", str(report), *(["-t", only] if only else [])]
    done = _run([*command, str(checkout.resolve() / SPECIFICATION)], scratch, OS_CLIENT_CONFIG_FILE=str(clouds))
    print(done.stdout[-1500:], flush=True)
    if not report.exists():
        print(done.stderr[-1500:])
        return []
    invocations = yaml.safe_load(report.read_text(encoding="utf-8"))["run"]["invocations"].values()
    told = {name: int(value) for each in invocations for name, value in each["results"].items()}
    lines = [line for each in invocations for line in (*each["stdout"], *each["stderr"])]
    words = {1: "passed", -1: "failed", 0: "skipped"}
    mandatory = [Result(name, words[value], 0.0, _why(name, lines)) for name, value in told.items()]
    return [*mandatory, *_recommended(checkout, python, scratch, clouds, only, set(told))]


def _why(name: str, lines: list[str]) -> str:
    """The errors that the checker told while it was at a test case."""
    at, found = "", []
    for line in lines:
        if "** " in line:
            at = line.partition("** ")[2].strip()
        elif at == name and line.startswith(("ERROR", "CRITICAL", "WARNING")):
            found.append(line)
    return " | ".join(found)[:300]


def _recommended(checkout: Path, python: Path, scratch: Path, clouds: Path, only: str, told: set[str]) -> list[Result]:
    wanted = [name for name in testcases(checkout) if name not in told and re.search(only or ".", name)]
    if not wanted:
        return []
    command = [str(python), str(checkout.resolve() / RUNNER), "-c", "andromede", *wanted]
    done = _run(command, scratch, OS_CLIENT_CONFIG_FILE=str(clouds))
    said = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    outcome = {"PASS": "passed", "FAIL": "failed"}
    return [Result(name, outcome.get(said.get(name, ""), "skipped")) for name in wanted]


def complete_images(installation: Installation, scratch: Path) -> None:
    """The public image that SCS-0104 demands by name, where the cloud has none; its bytes are another guest's."""
    preparer = hosted.Preparer(installation, scratch)
    if "image" not in preparer.types:
        return
    preparer.image("tiny")
    if hosted.DEBIAN in str(installation.settings.get("hosting.images", "")):
        preparer.image(OFFERS[hosted.DEBIAN].name)
    preparer.copy_image("tiny", UBUNTU)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of SovereignCloudStack/standards")
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("--venv", default="", help="virtual environment that has openstacksdk and boto3 installed")
    parser.add_argument("--tests", default="", help="only test cases whose id matches")
    parser.add_argument("--short", action="store_true", help="without the test cases that start a whole distribution")
    parser.add_argument("--update", action="store_true", help="write what passes")
    choice = parser.parse_args(words)
    packages = ("openstacksdk==4.10.0", "pyyaml", "boto3")
    python = environment("scs-env", *packages, existing=choice.venv) / "bin" / "python"
    scratch = Path(tempfile.mkdtemp(prefix="scs-"))
    only = choice.tests or (QUICK if choice.short else "")
    why = hosted.why_not()

    def both(installation: Installation) -> tuple[list[str], list[Result]]:
        prepare(installation, scratch)
        complete_images(installation, scratch)
        clouds = installation.data.resolve() / "clouds.yaml"
        return check(choice.checkout, python, scratch), judge(choice.checkout, python, scratch, clouds, only)

    if choice.data:
        passed, cases = both(Installation(Path(choice.data), "-", "-"))
    else:
        if why:
            print(f"SCS-compatible IaaS without hosting: {why}")
        images = "tiny" if choice.short else f"tiny,{hosted.DEBIAN}"
        settings = {} if why else {**hosted.settings(), "hosting.images": images}
        with Installation(scratch / "cloud", settings=settings) as installation:
            passed, cases = both(installation)
    return verdicts(passed, cases, choice.update, None if why else only)


def verdicts(passed: list[str], cases: list[Result], update: bool, only: str | None) -> int:
    """Print what passes, and judge it by the lists: the test cases that match `only`, those that ran where it is None;
    some must have."""
    path, listed = LISTS / "scs" / "passing.txt", LISTS / "scs" / "testcases.txt"
    green = {case.id for case in cases if case.outcome == "passed"}
    if update:
        path.write_text(f"{max(len(passed), int(path.read_text(encoding='utf-8')))}\n", encoding="utf-8")
        write_ids(listed, HEAD, green | set(read_ids(listed)))
    promised = int(path.read_text(encoding="utf-8")) if path.exists() else 0
    print(f"SCS domain manager: {promised} promised")
    print(f"{len(passed)} passed, {max(0, promised - len(passed))} failed", flush=True)
    counts = {word: sum(case.outcome == word for case in cases) for word in ("passed", "failed", "skipped")}
    print(f"SCS-compatible IaaS, {len(cases)} test cases: {counts['passed']} passed, {counts['failed']} failed, "
          f"{counts['skipped']} could not be judged", flush=True)  # fmt: skip
    for case in cases:
        if case.outcome != "passed":
            print(f"  {case.outcome}: {case.id} {case.message}")
    ran = {case.id for case in cases}
    wanted = [name for name in read_ids(listed) if name in ran or (only is not None and re.search(only, name))]
    return max(verdict("SCS-compatible IaaS", cases, wanted), int(len(passed) < promised), int(not cases))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
