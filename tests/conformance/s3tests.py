"""ceph/s3-tests against a fresh installation, or against one that runs: `python -m tests.conformance.s3tests CHECKOUT`.

The checkout is the user's; nothing of it is kept here but the ids of its tests. Lifecycle tests that wait for days run
apart, on an installation whose day lasts seconds. Exit code 1 when a test of s3/passing.txt does not pass.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance import results
from tests.conformance.environment import BUILD, environment
from tests.conformance.results import LISTS, Result
from tests.support.installation import ROOT, Installation
from tests.support.keystone import Keystone, Tenant

REVISION = "8f0ae7b404a3a2fcf7038bf1e6bf29544fe9b6a3"
FILES = ("s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py")
ELSEWHERE = (
    "bucket_logging",
    "bucket_logging_cleanup",
    "s3select",
    "iam_account",
    "iam_cross_account",
    "cloud_transition",
    "cloud_restore",
    "target_by_bucket",
    "sns",
)
DAY_SECONDS = 6
MOST_AGAIN = 12  # more failures than these are no matter of a slow machine
KMS_KEYS = ("testkey-1", "testkey-2")  # some tests use these names whatever the configuration says
SETTINGS: dict[str, object] = {
    "objects.test_mode": True,
    "objects.s3_sigv2": True,
    "objects.sse_c_plain_http": True,
    "objects.worker_seconds": 1,
}
GROUPS = [  # first match wins; searched in file::name
    ("raw headers", r"test_headers"),
    ("lifecycle", r"lifecycle|lifecyle|delete_marker_exp"),
    ("listing V2", r"listv2|list_objects_v2|_listv2_"),
    ("POST object", r"post_object"),
    ("encrypted copy matrix", r"copy_enc|test_copy_.*enc"),
    ("SSE-C", r"sse_c|sse_customer|encryption_sse_c|encrypted_transfer|encryption_key"),
    ("SSE-KMS", r"kms"),
    ("SSE-S3 and defaults", r"sse_s3|bucket_encryption|sses3|default_upload|encryption"),
    ("object lock", r"object_lock|legal_hold|retention"),
    (
        "policy, public access block",
        r"policy|block_public|public_block|ignore_public|public_acl|get_publicaccess|restrict",
    ),
    ("ownership", r"ownership"),
    ("ACL, anonymous, grants", r"acl|anon|grant|object_raw|bucket_head_not|raw_get|raw_put|access_bucket"),
    ("CORS", r"cors"),
    ("tagging", r"tag"),
    ("checksums", r"checksum|crc"),
    ("multipart", r"multipart|upload_part|object_attributes|abort_multi|list_multi"),
    ("versioning", r"version"),
    ("conditional writes and deletes", r"(put|delete|multi).*if_?(none)?_?match|if_match.*delete|conditional|_if_"),
    ("conditional reads and copies", r"ifmatch|ifnonematch|ifmodified|ifunmodified|if_match|if_none"),
    ("listing V1", r"bucket_list|list_objects|buckets_list|list_buckets"),
    ("core objects", r""),
]


def group(test_id: str) -> str:
    """The row of the summary that a test belongs to; found by words of its name."""
    name = test_id.removeprefix("s3tests/functional/")
    return next(title for title, pattern in GROUPS if re.search(pattern, name))


def waits_for_days(checkout: Path) -> set[str]:
    """Names of tests that call, through helpers or not, for the length of a lifecycle day."""
    tree = ast.parse((checkout / FILES[0]).read_text(encoding="utf-8"))
    calls: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
            calls[node.name] = {name.id for name in names if isinstance(name, ast.Name)}
    waiting = {"get_lc_debug_interval"}
    while more := {name for name, called in calls.items() if called & waiting} - waiting:
        waiting |= more
    return {name for name in waiting if name.startswith("test_")}


@dataclass(slots=True)
class Suite:
    """A checkout with an environment to run it in."""

    checkout: Path
    python: Path
    words: tuple[str, ...] = ()
    workers: int = 2
    ca: str = ""  # for the few tests that verify certificates
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="s3tests-")))

    def run(self, conf: Path, ids: list[str], workers: int) -> list[Result]:
        """Run tests by id on the configured server. Promised ones that fail are tried once more, alone, and named."""
        found = self._once(conf, ids, workers)
        promised = set(results.read_ids(LISTS / "s3" / "passing.txt"))
        again = [result.id for result in found if result.outcome == "failed" and result.id in promised]
        if not 0 < len(again) <= MOST_AGAIN:
            return found
        second = {result.id: result for result in self._once(conf, again, 1)}
        print(f"tried again alone: {', '.join(f'{name} ({result.outcome})' for name, result in second.items())}")
        return [second.get(result.id, result) for result in found]

    def _once(self, conf: Path, ids: list[str], workers: int) -> list[Result]:
        out = self.scratch / f"results-{conf.stem}.jsonl"
        out.unlink(missing_ok=True)
        env = {
            **os.environ,
            "S3TEST_CONF": str(conf),
            "S3_RESULTS": str(out),
            "PYTHONPATH": os.pathsep.join((str(self.checkout), str(ROOT / "tests" / "conformance"))),
            "AWS_MAX_ATTEMPTS": "1",
            "PYTHONWARNINGS": "ignore",
            **({"SSL_CERT_FILE": self.ca, "REQUESTS_CA_BUNDLE": self.ca} if self.ca else {}),
        }
        listed = self.scratch / f"ids-{conf.stem}.txt"
        listed.write_text("\n".join(ids) + "\n", encoding="utf-8")
        command = [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "s3_plugin", "--tb=short"]
        command += ["-n", str(workers), "--timeout", "300", "--no-header", "-W", "ignore", *self.words, f"@{listed}"]
        with (self.scratch / f"output-{conf.stem}.txt").open("w") as output:
            subprocess.run(command, cwd=self.checkout, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
        return [Result(**json.loads(line)) for line in lines]

    def collect(self, conf: Path, everything: bool) -> list[str]:
        """Ids of the core; without `everything`, those that s3/excluded.txt does not name."""
        command = [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", *self.words]
        command += ["-W", "ignore", *FILES, "-m", " and ".join(f"not {mark}" for mark in ELSEWHERE)]
        env = {**os.environ, "S3TEST_CONF": str(conf), "PYTHONPATH": str(self.checkout)}
        done = subprocess.run(command, cwd=self.checkout, env=env, capture_output=True, text=True)
        found = [line.strip() for line in done.stdout.splitlines() if "::" in line and " " not in line.strip()]
        if not found and done.returncode not in (0, 5):
            raise SystemExit(f"the suite could not be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        excluded = set() if everything else set(results.read_ids(LISTS / "s3" / "excluded.txt"))
        return [test_id for test_id in found if test_id not in excluded]


def write_conf(path: Path, installation: Installation, day_seconds: int) -> Path:
    """Make three projects on the installation and describe them in the suite's form."""
    admin = Keystone.admin(installation)
    tenants = {name: admin.tenant(f"s3-{name}") for name in ("main", "alt", "tenant")}
    for name in KMS_KEYS:
        installation.run("keys", "create", tenants["main"].project_id, "--name", name)
    host, _, port = installation.objects_url.rpartition("//")[2].partition(":")
    conf = configparser.RawConfigParser()
    secure = installation.objects_url.startswith("https")
    conf["DEFAULT"] = {"host": host, "port": port, "is_secure": str(secure), "ssl_verify": "False"}
    conf["fixtures"] = {"bucket prefix": "x-{random}-"}
    for name, tenant in tenants.items():
        conf[f"s3 {name}"] = person(tenant)
    conf["s3 main"].update(
        api_name=installation.s3.get("AWS_REGION", "fr1"),
        kms_keyid=KMS_KEYS[0],
        kms_keyid2=KMS_KEYS[1],
        lc_debug_interval=str(day_seconds),
    )
    conf["s3 tenant"]["tenant"] = tenants["tenant"].project_id
    conf["iam"] = conf["iam root"] = person(tenants["main"])
    conf["iam alt root"] = person(tenants["alt"])
    with path.open("w", encoding="utf-8") as out:
        conf.write(out)
    return path


def person(tenant: Tenant) -> dict[str, str]:
    return {
        "user_id": tenant.project_id,
        "display_name": tenant.project_name,
        "email": f"{tenant.user_name}@example.org",
        "access_key": tenant.access,
        "secret_key": tenant.secret,
    }


def run_all(suite: Suite, choice: argparse.Namespace) -> list[Result]:
    """Both passes (days of usual and of short length) on fresh installations, or one on the installation given."""
    slow = waits_for_days(suite.checkout)

    def is_slow(test_id: str) -> bool:
        return test_id.rpartition("::")[2].partition("[")[0] in slow

    if choice.data:
        running = Installation(Path(choice.data), "-", "-")
        suite.ca = running.ca or ""
        conf = write_conf(suite.scratch / "given.conf", running, choice.day)
        return suite.run(conf, suite.collect(conf, choice.all), suite.workers)
    found: list[Result] = []
    apart = set(results.read_ids(LISTS / "s3" / "own_account.txt"))
    for name, day, workers in (("usual", 86400, suite.workers), ("short-days", DAY_SECONDS, 8)):
        settings = {**SETTINGS, "objects.day_seconds": day}
        with Installation(suite.scratch / name, tls=choice.tls, settings=settings) as installation:
            suite.ca = installation.ca or ""
            conf = write_conf(suite.scratch / f"{name}.conf", installation, DAY_SECONDS)
            ids = [i for i in suite.collect(conf, choice.all) if is_slow(i) == (day == DAY_SECONDS)]
            if shared := [i for i in ids if i not in apart]:
                found += suite.run(conf, shared, workers)
            for number, alone in enumerate(i for i in ids if i in apart):
                fresh = write_conf(suite.scratch / f"{name}-{number}.conf", installation, DAY_SECONDS)
                found += suite.run(fresh, [alone], 1)
    return found


def update(found: list[Result], everything: list[str]) -> None:
    """Add what passes to the list of promises; what neither passes nor is excluded is planned."""
    folder = LISTS / "s3"
    promised = set(results.read_ids(folder / "passing.txt"))
    promised |= {result.id for result in found if result.outcome == "passed"}
    planned = set(everything) | set(results.read_ids(folder / "planned.txt"))
    planned -= promised | set(results.read_ids(folder / "excluded.txt"))
    head = f"ceph/s3-tests {REVISION}:"
    results.write_ids(folder / "passing.txt", f"{head} these pass; one that stops passing fails the build", promised)
    results.write_ids(folder / "planned.txt", f"{head} these shall pass and do not yet", planned)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="a checkout of ceph/s3-tests")
    parser.add_argument("-k", dest="pattern", default="", help="only tests that match this pytest expression")
    parser.add_argument("--data", help="data directory of a running installation to test (default: fresh ones)")
    parser.add_argument("--day", type=int, default=DAY_SECONDS, help="length of a lifecycle day there, in seconds")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--all", action="store_true", help="also core tests of s3/excluded.txt")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--python", default="", help="virtual environment that has the suite's needs installed")
    parser.add_argument("--update", action="store_true", help="write the lists of passing and planned ids")
    parser.add_argument("--show", action="store_true", help="print every failure with its message")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    choice = arguments(words)
    checkout = choice.checkout.resolve()
    needs = ("-r", str(checkout / "requirements.txt"), "pytest-xdist", "pytest-timeout")
    folder = environment("s3tests-env", *needs, existing=choice.python)
    words = ["-k", choice.pattern] if choice.pattern else []
    suite = Suite(checkout, folder / "bin" / "python", tuple(words), choice.workers)
    BUILD.mkdir(exist_ok=True)
    found = run_all(suite, choice)
    if choice.show:
        for result in sorted(found, key=lambda r: (group(r.id), r.id)):
            if result.outcome == "failed":
                print(f"FAILED [{group(result.id)}] {result.id.rpartition('::')[2]}  {result.message}")
    title = f"ceph/s3-tests over {'HTTPS' if choice.tls else 'HTTP'} (output in {suite.scratch})"
    results.print_table(title, results.by_group(found, group))
    if choice.pattern or choice.data:
        return 0
    if choice.update:
        update(found, [result.id for result in found])
    impossible = set(results.read_ids(LISTS / "s3" / "http_only.txt")) if choice.tls else set()
    promised = [test_id for test_id in results.read_ids(LISTS / "s3" / "passing.txt") if test_id not in impossible]
    return results.verdict("s3-tests", found, promised)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
