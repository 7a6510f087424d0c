"""OpenStack Tempest against a fresh installation, or one that runs: `python -m tests.conformance.tempest [REGEX]`.

Areas: identity (v3, 138 tests), object_storage (149), and, on an installation that hosts, image, network, volume,
compute and scenario, and the API tests of two plugins, barbican and octavia. Two lists go across them: the 58 tests of
the InterOp guideline 2020.06 for object storage, and the 258 of SCS-0128. `--area` names areas or one of these lists.
`--short` takes all that is promised of identity and object_storage, and of hosting what fits beside it into four
minutes. Exit code 1 when a test of tempest/AREA.txt does not pass, or when something leaked. A class whose set-up fails
counts as all its tests.
"""

from __future__ import annotations

import argparse
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
from tests.conformance.tempest_conf import Conf
from tests.support import hosted, leaks
from tests.support.hosted import Hosted
from tests.support.installation import Installation

VERSION = "47.0.0"
PACKAGES = (f"tempest=={VERSION}", "barbican-tempest-plugin==4.6.0", "octavia-tempest-plugin==3.5.0", "junitxml")
PLAIN = {
    "identity": r"^tempest\.api\.identity\.(v3|admin\.v3)",
    "object_storage": r"^tempest\.api\.object_storage",
}
HOSTING = {
    "image": r"^tempest\.api\.image",
    "network": r"^tempest\.api\.network",
    "volume": r"^tempest\.api\.volume",
    "compute": r"^tempest\.api\.compute",
    "scenario": r"^tempest\.scenario\.test_(server_basic_ops|network_basic_ops|security_groups_basic_ops"
    r"|volume_boot_pattern|minimum_basic|snapshot_pattern)\.",
}
PLUGINS = {
    "barbican": r"^barbican_tempest_plugin\.tests\.(api|rbac)\.",
    "octavia": r"^octavia_tempest_plugin\.tests\.api\.",
}
"""Areas of an installation that hosts, which are no part of the short run."""
AREAS = {**PLAIN, **HOSTING, **PLUGINS}
ROOTS = ("tempest.", "barbican_tempest_plugin.", "octavia_tempest_plugin.")
ACROSS = {"interop": "InterOp 2020.06 object storage", "scs_0128": "SCS-0128"}
SHORT_SECONDS = 240
SETTINGS: dict[str, object] = {
    "identity.lockout_failures": 2,
    "identity.lockout_seconds": 5,
    "identity.password_history": 2,
    "objects.test_mode": True,
    "objects.tempurl_sha1": True,  # its form posts are signed with SHA-1
    "objects.worker_seconds": 1,
}


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
        env["PYTHON"] = str(self.folder / "bin" / "python")  # stestr takes that of make's caller otherwise
        env |= self.environment
        done = subprocess.run(
            words, cwd=self.workspace, env=env, stdin=subprocess.DEVNULL, capture_output=quiet, text=True,
            errors="replace", check=False,
        )  # fmt: skip
        return done.stdout or ""

    def prepare(self, installation: Installation, hosted: Hosted | None, validate: bool = True) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        if installation.ca:  # one of its clients looks at no setting
            self.environment["SSL_CERT_FILE"] = installation.ca
        self.call("tempest", "init", "--workspace-path", str(self.scratch / "ws.yaml"), str(self.workspace))
        conf = Conf(installation, hosted=hosted, validate=validate)
        conf.write(self.workspace / "etc" / "tempest.conf")

    def listed(self) -> list[str]:
        """Ids of all tests, without the attributes in brackets."""
        lines = self.call("tempest", "run", "-l").splitlines()
        return [line.partition("[")[0] for line in lines if line.startswith(ROOTS)]

    def run(self, ids: list[str], workers: int) -> list[Result]:
        """Run tests by id; one result for each."""
        chosen = self.scratch / "chosen.txt"
        chosen.write_text("".join(f"^{re.escape(name)}(\\[|$)\n" for name in ids), encoding="utf-8")
        shutil.rmtree(self.workspace / ".stestr", ignore_errors=True)
        self.call("tempest", "run", "--concurrency", str(workers), "--include-list", str(chosen))
        report = self.scratch / "report.xml"
        self.call("bash", "-c", f"stestr last --subunit | subunit2junitxml -o {report}")
        return list(complete(read_report(report) if report.exists() else iter(()), ids))


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
    details = [line.strip() for line in trace.splitlines() if line.startswith("Details: ")]
    return " ".join(filter(None, ((ours or lines or trace.strip().splitlines() or [""])[-1], *details[-1:])))[:400]


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
    plain = test_id.removeprefix("tempest.api.").replace("_tempest_plugin.tests", "")
    return plain.rpartition(".")[0].rpartition(".")[0]


def promised(area: str) -> list[str]:
    return results.read_ids(LISTS / "tempest" / f"{area}.txt")


def chosen(every: list[str], choice: argparse.Namespace, areas: list[str]) -> list[str]:
    """The ids to run, in order."""
    if choice.regex:
        wanted = {name for name in every if re.search(choice.regex, name)}
    else:
        patterns = [AREAS[area] for area in areas if area in AREAS]
        wanted = {name for name in every if any(re.search(pattern, name) for pattern in patterns)}
        wanted |= {name for area in areas if area in ACROSS for name in promised(area)}
    if choice.short:
        wanted &= short(choice.workers)
    return [name for name in every if name in wanted]


def short(workers: int) -> set[str]:
    """Every promised test of PLAIN, and those of hosting that fit beside them into SHORT_SECONDS, by the seconds that
    the lists tell of each: first those of SCS-0128, then the quickest of the others."""
    seconds = {area: times(LISTS / "tempest" / f"{area}.txt") for area in AREAS}
    found = {name for area in PLAIN for name in seconds[area]}
    room = SHORT_SECONDS * workers - sum(took for area in PLAIN for took in seconds[area].values())
    certified = set(promised("scs_0128"))
    guests = {name: took for area in HOSTING for name, took in seconds[area].items()}
    for name, took in sorted(guests.items(), key=lambda item: (item[0] not in certified, item[1], item[0])):
        room -= took
        if room > 0:
            found.add(name)
    return found


def times(path: Path) -> dict[str, float]:
    """How long each test of a list took when it was promised; a list without times counts a second for each."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        name, _, took = line.partition(" ")
        if name and not name.startswith("#"):
            found[name] = float(took or 1.0)
    return found


def judge(found: list[Result], choice: argparse.Namespace) -> int:
    """Compare with the lists of the areas that ran, or add what passes to them."""
    code, ran = 0, {result.id for result in found}
    for area, regex in AREAS.items():
        mine = [result for result in found if re.search(regex, result.id)]
        if not mine:
            continue
        path = LISTS / "tempest" / f"{area}.txt"
        known = times(path)
        if choice.update:
            known = {**{r.id: r.seconds for r in mine if r.outcome == "passed"}, **known}
            write_times(path, f"Tempest {VERSION}, {area}: these pass; a lost one fails the build", known)
        wanted = {name for name in known if name in ran or not choice.partly}
        wanted |= {name for across in ACROSS for name in promised(across) if re.search(regex, name) and name in ran}
        code |= results.verdict(f"tempest {area}", mine, sorted(wanted), new=not choice.partly)
    passed = {result.id for result in found if result.outcome == "passed"}
    for across, title in ACROSS.items():
        wanted = set(promised(across)) & ran
        if len(wanted) > len(promised("identity")) // 4:  # two of InterOp's are of identity
            print(f"{title}: {len(wanted & passed)} of {len(promised(across))}", flush=True)
    return code


def write_times(path: Path, head: str, seconds: dict[str, float]) -> None:
    """A list of ids with the seconds that each took."""
    lines = [name if took == 1.0 else f"{name} {took:.1f}" for name, took in sorted(seconds.items())]
    path.write_text("\n".join([f"# {head}", *lines]) + "\n", encoding="utf-8")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("regex", nargs="?", default="", help="only tests whose id matches (default: whole areas)")
    parser.add_argument("--area", default="", help=f"of {', '.join([*AREAS, *ACROSS])}; several with commas")
    parser.add_argument("--short", action="store_true", help="promised tests; of hosting what fits into four minutes")
    parser.add_argument("--data", help="data directory of a running installation to test (default: a fresh one)")
    parser.add_argument("--tls", action="store_true", help="over HTTPS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--venv", default="", help="virtual environment that has Tempest installed")
    parser.add_argument("--update", action="store_true", help="add what passes to the lists")
    parser.add_argument("--show", action="store_true", help="print every failure with its message")
    parser.add_argument("--no-ssh", action="store_true", help="do not log into guests")
    return parser


def needs_hosting(ids: list[str]) -> bool:
    hosting = (*HOSTING.values(), *PLUGINS.values())
    return any(re.search(pattern, name) for pattern in hosting for name in ids)


def tested(suite: Suite, choice: argparse.Namespace, areas: list[str]) -> tuple[list[Result], int]:
    """The results, and 1 if something leaked."""
    suite.workspace.mkdir(parents=True, exist_ok=True)
    suite.call("tempest", "init", "--workspace-path", str(suite.scratch / "ws.yaml"), str(suite.workspace))
    ids = chosen(suite.listed(), choice, areas)
    if not ids:
        raise SystemExit(f"none of the tests that Tempest lists was asked for: see the regex and {suite.folder}")
    hosts = needs_hosting(ids)
    if hosts and not choice.data and (why := hosted.why_not()):
        ids = [name for name in ids if not needs_hosting([name])]
        print(f"tests of hosting: NOT RUN, {why}", flush=True)
        hosts = False
    if choice.data:
        data = Path(choice.data)
        return with_cloud(suite, Installation(data, "-", "-", settings=SETTINGS), ids, choice, hosts)
    more = hosted.settings() if hosts else {}
    with Installation(suite.scratch / "cloud", tls=choice.tls, settings={**SETTINGS, **more}) as installation:
        return with_cloud(suite, installation, ids, choice, hosts)


def with_cloud(
    suite: Suite, installation: Installation, ids: list[str], choice: argparse.Namespace, hosts: bool
) -> tuple[list[Result], int]:
    if not hosts:
        suite.prepare(installation, None)
        return suite.run(ids, choice.workers), 0
    facts = hosted.prepare(installation, suite.scratch / "images")
    before = leaks.take(installation)
    with hosted.served(facts):
        suite.prepare(installation, facts, not choice.no_ssh)
        found = suite.run(ids, choice.workers)
    left = {kind: leaked(names, ids) for kind, names in leaks.left(installation, before).items()}
    for kind, names in left.items():
        if names:
            print(f"LEAKED {kind}: {len(names)}: {', '.join(names[:20])}", flush=True)
    return found, int(any(left.values()))


def leaked(names: list[str], ids: list[str]) -> list[str]:
    """What counts as leaked after these tests: the key manager's plugin deletes its projects and not what they hold."""
    keys = any(re.search(PLUGINS["barbican"], name) for name in ids)
    return [name for name in names if not (keys and name.startswith("secret"))]


def main(words: list[str]) -> int:
    choice = options().parse_args(words)
    suite = Suite(environment("tempest-env", *PACKAGES, existing=choice.venv))
    areas = [name for name in choice.area.split(",") if name] or list(AREAS)
    if unknown := [name for name in areas if name not in {**AREAS, **ACROSS}]:
        raise SystemExit(f"unknown areas: {', '.join(unknown)}")
    choice.partly = bool(choice.regex or choice.short or choice.data or set(areas) & set(ACROSS))
    found, leaked = tested(suite, choice, areas)
    if choice.show:
        for result in found:
            if result.outcome == "failed":
                print(f"FAILED {result.id}  {result.message}")
    results.print_table(f"Tempest {VERSION} (workspace {suite.workspace})", results.by_group(found, group))
    judged = judge(found, choice) if choice.update or not (choice.data or choice.regex) else 0
    return judged | leaked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
