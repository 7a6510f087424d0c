"""All conformance suites that can run here: `python -m tests.conformance.run [--s3tests PATH] [--scs PATH]`.

ceph/s3-tests and SovereignCloudStack/standards are public repositories that are on no package index: they run when a
checkout is named by option, by S3TESTS and SCS in the environment, or lies beside the project or under build/. What
does not run is said. Exit code 1 when a promised test does not pass.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.conformance import s3tests, scs, tempest, terraform_calls
from tests.support.installation import ROOT


def checkout(named: str, variable: str, marker: Path, *places: str) -> Path | None:
    """The first folder that holds `marker`: the one named, the variable's, or one of the usual places."""
    candidates = [named, os.environ.get(variable, ""), *(str(ROOT / place) for place in places)]
    return next((Path(place) for place in candidates if place and (Path(place) / marker).exists()), None)


def revision(folder: Path) -> str:
    done = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout.strip() or "of unknown revision"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--s3tests", default="", help="a checkout of ceph/s3-tests")
    parser.add_argument("--scs", default="", help="a checkout of SovereignCloudStack/standards")
    parser.add_argument("--short", action="store_true", help="of hosting what fits into four minutes")
    parser.add_argument("--update", action="store_true", help="write the lists of passing ids")
    choice = parser.parse_args(words)
    extra = ["--update"] if choice.update else []
    brief = ["--short"] if choice.short else []
    codes = {"tempest": tempest.main([*extra, *brief, "--show"])}
    codes["calls of Terraform and cluster-api"] = terraform_calls.main([])
    suite = checkout(choice.s3tests, "S3TESTS", Path(s3tests.FILES[0]), "../s3-tests", "build/s3-tests")
    if suite is None:
        print("ceph/s3-tests: NOT RUN, no checkout here (make conformance S3TESTS=path)")
    else:
        print(f"ceph/s3-tests {revision(suite)} (lists are for {s3tests.REVISION})")
        codes["s3-tests HTTP"] = s3tests.main([str(suite), *extra, "--show"])
        codes["s3-tests HTTPS"] = s3tests.main([str(suite), "--tls", "--show"])
    standards = checkout(choice.scs, "SCS", scs.SCRIPT, "../scs-standards", "build/scs-standards")
    if standards is None:
        print("SCS: NOT RUN, no checkout here (make conformance SCS=path)")
    else:
        codes["SCS"] = scs.main([str(standards), *extra, *brief])
    for name, code in codes.items():
        print(f"{name}: {'kept its promises' if code == 0 else 'BROKEN'}")
    return max(codes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
