"""OpenStack Tempest against a fresh installation, or one that runs: `python -m tests.conformance.tempest [REGEX]`.

Areas: identity (v3, 138 tests), object_storage (149), and the 58 tests of the InterOp guideline 2020.06 for object
storage. Exit code 1 when a test of tempest/AREA.txt does not pass. A class whose set-up fails counts as all its tests.
"""

from __future__ import annotations

import argparse
import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance import results
from tests.conformance.environment import environment
from tests.conformance.results import LISTS, Result
from tests.support.installation import Installation
from tests.support.keystone import Keystone

VERSION = "47.0.0"
AREAS = {
    "identity": r"^tempest\.api\.identity\.(v3|admin\.v3)",
    "object_storage": r"^tempest\.api\.object_storage",
}
SETTINGS: dict[str, object] = {
    "identity.lockout_failures": 2,
    "identity.lockout_seconds": 5,
    "identity.password_history": 2,
    "objects.test_mode": True,
    "objects.tempurl_sha1": True,  # its form posts are signed with SHA-1
    "objects.worker_seconds": 1,
}


def write_conf(path: Path, installation: Installation, objects: bool) -> None:
    """Tempest's configuration for a cloud that has identity, and objects where they are wanted."""
    auth = installation.clouds["andromede-admin"]["auth"]
    admin = Keystone.admin(installation)
    region = str(installation.clouds["andromede"].get("region_name", "fr1"))
    features = admin.http.get(admin.endpoint("object-store").partition("/v1")[0] + "/info").json() if objects else {}
    conf = configparser.RawConfigParser()
    conf["DEFAULT"] = {"log_dir": "logs", "log_file": "tempest.log"}
    conf["oslo_concurrency"] = {"lock_path": "tempest_lock"}
    conf["auth"] = {
        "use_dynamic_credentials": "true",
        "create_isolated_networks": "false",
        "admin_username": auth["username"],
        "admin_password": auth["password"],
        "admin_project_name": auth["project_name"],
        "admin_domain_name": auth.get("user_domain_name", "Default"),
    }
    conf["identity"] = {
        "uri_v3": f"{installation.identity_url}/v3",
        "region": region,
        "default_domain_id": "default",
        "user_lockout_failure_attempts": str(installation.settings.get("identity.lockout_failures", 6)),
        "user_lockout_duration": str(installation.settings.get("identity.lockout_seconds", 1800)),
        "user_unique_last_password_count": str(installation.settings.get("identity.password_history", 1)),
    }
    if installation.ca:
        conf["identity"]["ca_certificates_file"] = installation.ca
    conf["identity-feature-enabled"] = {"security_compliance": "true"}
    conf["object-storage"] = {"operator_role": "member", "reseller_admin_role": "ResellerAdmin", "region": region}
    conf["object-storage-feature-enabled"] = {
        "discoverable_apis": ",".join(name for name in features if name != "swift"),
        "container_sync": str("container_sync" in features).lower(),
        "object_versioning": "true",
        "tempurl_digest_hashlib": "sha256",
    }
    absent = ("nova", "glance", "neutron", "cinder", "horizon")
    conf["service_available"] = {"swift": str(objects).lower(), **dict.fromkeys(absent, "false")}
    conf["validation"] = {"run_validation": "false"}
    with path.open("w", encoding="utf-8") as out:
        conf.write(out)


@dataclass(slots=True)
class Suite:
    """An installed Tempest with a workspace."""

    folder: Path
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tempest-")))
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.scratch / "workspace"

    def call(self, *words: str, quiet: bool = True) -> str:
        """The standard output of a command of the suite's environment, run in the workspace."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "PYTHONWARNINGS": "ignore", "HOME": str(self.scratch)}
        env |= self.environment
        done = subprocess.run(
            words, cwd=self.workspace, env=env, stdin=subprocess.DEVNULL, capture_output=quiet, text=True, check=False
        )
        return done.stdout or ""

    def prepare(self, installation: Installation, regex: str) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        if installation.ca:  # one of its clients looks at no setting
            self.environment["SSL_CERT_FILE"] = installation.ca
        self.call("tempest", "init", "--workspace-path", str(self.scratch / "ws.yaml"), str(self.workspace))
        write_conf(self.workspace / "etc" / "tempest.conf", installation, "object_storage" in regex)

    def listed(self, regex: str) -> list[str]:
        """Ids of the tests that match, without the attributes in brackets."""
        lines = self.call("tempest", "run", "-l", "--regex", regex).splitlines()
        return [line.partition("[")[0] for line in lines if line.startswith("tempest.")]

    def run(self, regex: str, workers: int) -> list[Result]:
        expected = self.listed(regex)
        shutil.rmtree(self.workspace / ".stestr", ignore_errors=True)
        self.call("tempest", "run", "--concurrency", str(workers), "--regex", regex)
        report = self.scratch / "report.xml"
        self.call("bash", "-c", f"stestr last --subunit | subunit2junitxml -o {report}")
        if not report.exists():
            return []
        return list(complete(read_report(report), expected))


def read_report(path: Path) -> Iterator[Result]:
    """The results of a JUnit file; a failed set-up of a class has the class as its id."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name, owner = case.get("name", ""), case.get("classname", "")
        found = re.match(r"\w+ \((?P<owner>[\w.]+)\)", name)
        full = found["owner"] if found else f"{owner}.{name}".removeprefix(".").partition("[")[0]
        bad = next((case.find(tag) for tag in ("failure", "error") if case.find(tag) is not None), None)
        outcome = "failed" if bad is not None else "skipped" if case.find("skipped") is not None else "passed"
        yield Result(full, outcome, float(case.get("time") or 0), last_line(bad.text or "") if bad is not None else "")


def last_line(trace: str) -> str:
    """The line of a captured traceback that names the exception."""
    lines = [
        line.strip() for line in trace.splitlines() if re.match(r"\s*[\w.]+(Error|Exception|Fault|Timeout|\w+): ", line)
    ]
    ours = [line for line in lines if line.startswith(("tempest", "testtools", "Assertion", "Key", "Type"))]
    return (ours or lines or trace.strip().splitlines() or [""])[-1][:400]


def complete(found: Iterator[Result], expected: list[str]) -> Iterator[Result]:
    """One result for each expected test: a class that was not set up stands for all its tests that did not run."""
    single: dict[str, Result] = {}
    classes: dict[str, Result] = {}
    for result in found:
        (single if result.id in expected else classes)[result.id] = result
    for name in expected:
        owner = classes.get(name.rpartition(".")[0])
        if name in single:
            yield single[name]
        elif owner is not None:
            yield Result(name, owner.outcome if owner.outcome != "passed" else "failed", 0.0, f"class: {owner.message}")
        else:
            yield Result(name, "failed", 0.0, "did not run")


def group(test_id: str) -> str:
    return test_id.removeprefix("tempest.api.").rpartition(".")[0].rpartition(".")[0]


def judge(found: list[Result], choice: argparse.Namespace) -> int:
    """Compare with the lists of the areas that ran, or add what passes to them."""
    code = 0
    interop = results.read_ids(LISTS / "tempest" / "interop.txt")
    for area, regex in AREAS.items():
        mine = [result for result in found if re.search(regex, result.id)]
        if not mine:
            continue
        path = LISTS / "tempest" / f"{area}.txt"
        promised = results.read_ids(path)
        if choice.update:
            passing = {result.id for result in mine if result.outcome == "passed"}
            promised = sorted(passing | set(promised))
            results.write_ids(path, f"Tempest {VERSION}, {area}: these pass; a lost one fails the build", promised)
        promised += [name for name in interop if re.search(regex, name) and name not in promised]
        code |= results.verdict(f"tempest {area}", mine, promised)
    passed = set(interop) & {result.id for result in found if result.outcome == "passed"}
    print(f"InterOp 2020.06 object storage: {len(passed)} of {len(interop)}", flush=True)
    return code


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regex", nargs="?", default="", help="only tests whose id matches (default: both areas)")
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--venv", default="", help="virtual environment that has Tempest installed")
    parser.add_argument("--update", action="store_true", help="add what passes to the lists")
    parser.add_argument("--show", action="store_true", help="print every failure with its message")
    choice = parser.parse_args(words)
    suite = Suite(environment("tempest-env", f"tempest=={VERSION}", "junitxml", existing=choice.venv))
    regex = choice.regex or "|".join(AREAS.values())
    if choice.data:
        suite.prepare(Installation(Path(choice.data), "-", "-", settings=SETTINGS), regex)
        found = suite.run(regex, choice.workers)
    else:
        with Installation(suite.scratch / "cloud", tls=choice.tls, settings=SETTINGS) as installation:
            suite.prepare(installation, regex)
            found = suite.run(regex, choice.workers)
    if choice.show:
        for result in found:
            if result.outcome == "failed":
                print(f"FAILED {result.id}  {result.message}")
    results.print_table(f"Tempest {VERSION} (workspace {suite.workspace})", results.by_group(found, group))
    return judge(found, choice) if choice.update or not (choice.data or choice.regex) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
