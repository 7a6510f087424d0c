"""The status board: where the cloud is and what to type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from andromede import __version__
from andromede.cli.output import Output
from andromede.ops.layout import Layout
from andromede.ops.running import Running


def program() -> str:
    """How this program was called, so that a pasted command finds it again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m andromede"
    found = shutil.which("andromede")
    if found and Path(found).resolve() == called.resolve():
        return "andromede"
    return shlex.quote(str(called.absolute()))


def store_command(layout: Layout, client: str) -> str:
    """Make a bucket, put a file and show it, with `aws`, `rclone` or `curl`."""
    env = f"set -a; . {shlex.quote(str(layout.s3_env))}"
    if client == "aws":
        aws = 'aws --endpoint-url "$AWS_ENDPOINT_URL" s3'  # older ones do not read the variable
        return f"({env}; {aws} mb s3://first; echo hello | {aws} cp - s3://first/hello.txt; {aws} ls s3://first)"
    secure = "AWS_CA_BUNDLE" in layout.s3_env.read_text()
    if client == "rclone":
        where = '--s3-provider Other --s3-env-auth --s3-endpoint "$AWS_ENDPOINT_URL" --s3-region "$AWS_REGION"'
        ca = ' --ca-cert "$AWS_CA_BUNDLE"' if secure else ""  # it cannot use the variable itself
        call = f'r() {{ env -u AWS_CA_BUNDLE rclone {where}{ca} "$@"; }}'
        return f"({env}; {call}; r mkdir :s3:first; echo hello | r rcat :s3:first/hello.txt; r ls :s3:first)"
    curl = 'curl -sS --aws-sigv4 "aws:amz:$AWS_REGION:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"'
    curl += ' -H "x-amz-content-sha256: UNSIGNED-PAYLOAD"' + (' --cacert "$AWS_CA_BUNDLE"' if secure else "")
    there = '"$AWS_ENDPOINT_URL/first'
    return (
        f'({env}; c() {{ {curl} "$@"; }}; c -X PUT {there}"; '
        f'echo hello | c -X PUT --data-binary @- {there}/hello.txt"; c {there}/hello.txt")'
    )


def next_commands(layout: Layout) -> list[str]:
    """Three commands to paste."""
    data = f"--data {shlex.quote(str(layout.data))}"
    who = f"{program()} status {data}"
    if shutil.which("openstack"):
        clouds = shlex.quote(str(layout.clouds))
        who = f"OS_CLIENT_CONFIG_FILE={clouds} openstack --os-cloud andromede-admin catalog list"
    client = next((name for name in ("aws", "rclone") if shutil.which(name)), "curl")
    return [who, store_command(layout, client), f"{program()} ledger tail {data}"]


def document(layout: Layout, running: Running, first: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """The board as data."""
    return {
        "version": __version__,
        "pid": running.pid,
        "api": running.api_url,
        "objects": running.objects_url,
        "region": running.region,
        "tls": running.tls,
        "data": str(layout.data),
        "clouds_yaml": str(layout.clouds),
        "s3_env": str(layout.s3_env),
        "log": str(layout.log),
        "new": bool(first.get("new")),
        "first_administrator": first.get("admin"),
        "migrated": first.get("applied") or [],
        "snapshot": first.get("snapshot"),
        "hosting": first.get("hosting"),
        "next": next_commands(layout),
        "seconds": round(seconds, 3),
    }


def hosting(found: Mapping[str, Any] | None) -> str:
    """Whether this installation hosts, with what, and why."""
    if not found:
        return "as before"
    if not found["enabled"]:
        return f"off: {found['why']}" + (f"; mend it with: {found['mend']}" if found["mend"] else "")
    if found["accelerator"] == "kvm":
        return f"on, guests run with KVM ({found['why']})"
    if found["accelerator"] == "tcg":
        return f"on, guests run in software emulation ({found['why']})"
    return f"on, but no guest runs: {found['why']}"


def show(board: Mapping[str, Any], out: Output, detached: bool) -> None:
    """Print it."""
    out.result(board)
    out.say(f"Andromède {board['version']} is ready after {board['seconds']:.1f} s (pid {board['pid']})")
    out.say()
    out.say(f"  API      {board['api']}  (identity at /identity/v3)")
    out.say(f"  objects  {board['objects']}  (S3 at /, Swift at /v1)")
    out.say(f"  clients  {board['clouds_yaml']}  (clouds andromede-admin and andromede)")
    out.say(f"           {board['s3_env']}  (S3 credentials of project demo)")
    out.say(f"  data     {board['data']}  (log: log/andromede.log)")
    out.say(f"  hosting  {hosting(board['hosting'])}")
    out.say("  keys     file custody: whoever operates this machine can decrypt")
    if admin := board["first_administrator"]:
        out.say()
        out.say(f"  first administrator: {admin['user']}, password {admin['password']}")
        out.say("  (also in clouds.yaml; shown this once)")
    if board["migrated"]:
        out.say()
        out.say(f"  the database was upgraded by {len(board['migrated'])} steps")
        if board["snapshot"]:
            out.say(f"  snapshot from before: {board['snapshot']}")
            out.say(f"  to go back: {program()} down, {program()} migrate --back, then the former release")
    out.say()
    out.say("Next, " + ("" if detached else "in another terminal, ") + "paste any of these:")
    for command in board["next"]:
        out.say(f"  {command}")
    out.say()
    stop = f"{program()} down --data {shlex.quote(board['data'])}"
    out.say(f"Stop it with: {stop}" if detached else "Ctrl-C stops it.")
