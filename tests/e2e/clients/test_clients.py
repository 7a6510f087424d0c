"""Each real client puts, lists, reads back and deletes: odd names, empty and large objects, ten thousand keys."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.clients import BUILD, program
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.names import CONTROL_NAMES, FILE_NAMES, ODD_NAMES

pytestmark = pytest.mark.timeout(300)
HERE = Path(__file__).resolve().parent
MANY = 10_000


def environment(cloud: Installation, home: Path) -> dict[str, str]:
    """What every client needs, and nothing of the user's own settings."""
    auth = cloud.clouds["andromede"]["auth"]
    swift = {
        "OS_AUTH_URL": f"{cloud.identity_url}/v3",
        "OS_USERNAME": auth["username"],
        "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"],
        "OS_USER_DOMAIN_NAME": auth.get("user_domain_name", "Default"),
        "OS_PROJECT_DOMAIN_NAME": auth.get("project_domain_name", "Default"),
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": cloud.s3["AWS_REGION"],
    }
    trust = {"AWS_CA_BUNDLE": cloud.ca, "OS_CACERT": cloud.ca} if cloud.ca else {}
    own = {"HOME": str(home), "AWS_CONFIG_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "1", "LC_ALL": "C.UTF-8"}
    return {
        "PATH": os.environ["PATH"],
        **own,
        **swift,
        **trust,
        **cloud.s3,
        "AWS_DEFAULT_REGION": cloud.s3["AWS_REGION"],
    }


class Shell:
    """Runs clients in a scratch home; a failure shows the client's own words."""

    def __init__(self, cloud: Installation, home: Path) -> None:
        self.cloud, self.home = cloud, home
        self.environment = environment(cloud, home)

    def __call__(self, *command: str, **extra: str) -> str:
        done = subprocess.run(
            command,
            env={**self.environment, **extra},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, (
            f"{' '.join(command)[:200]}: {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-2500:]}"
        )
        return done.stdout

    def names_file(self) -> str:
        path = self.home / "names.json"
        path.write_text(json.dumps([*ODD_NAMES, *CONTROL_NAMES]), encoding="utf-8")
        return str(path)

    def tree(self, names: Iterable[str] = FILE_NAMES) -> Path:
        """A folder of files with odd names, an empty one and one of 20 MiB."""
        root = self.home / "tree"
        for number, name in enumerate(names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"file {number}".encode())
        (root / "empty").write_bytes(b"")
        (root / "large").write_bytes(bytes(range(256)) * 4096 * 20)
        return root


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def shell(cloud: Installation, tmp_path: Path) -> Shell:
    return Shell(cloud, tmp_path)


@pytest.mark.parametrize("name", ["boto3-old", "boto3"])
def test_boto3(name: str, shell: Shell, many: str) -> None:
    python = program(name)
    assert "10,000 keys" in shell(python, str(HERE / "boto3_session.py"), shell.names_file(), many, "24")


@pytest.mark.parametrize("name", ["boto3-old", "boto3"])
def test_boto3_over_tls(name: str, secure_cloud: Installation, tmp_path: Path) -> None:
    shell = Shell(secure_cloud, tmp_path)
    assert "names" in shell(program(name), str(HERE / "boto3_session.py"), shell.names_file(), "", "11")


def test_awscli_syncs_and_signs(shell: Shell, many: str) -> None:
    aws = program("awscli")
    tree = shell.tree()
    shell(aws, "s3", "mb", "s3://awscli-sync")
    shell(aws, "s3", "sync", str(tree), "s3://awscli-sync/deep/", "--no-progress")
    assert shell(aws, "s3", "sync", str(tree), "s3://awscli-sync/deep/", "--no-progress") == ""
    shell(aws, "s3", "sync", "s3://awscli-sync/deep/", str(shell.home / "back"), "--no-progress")
    assert contents(shell.home / "back") == contents(tree)
    url = shell(aws, "s3", "presign", "s3://awscli-sync/deep/plain").strip()
    assert shell("curl", "-sS", "--fail", url) == "file 0"
    assert len(shell(aws, "s3", "ls", f"s3://{many}/").splitlines()) == MANY
    shell(aws, "s3", "rb", "--force", "s3://awscli-sync")


@pytest.mark.parametrize("name", ["rclone", "rclone-debian"])
@pytest.mark.parametrize("door", ["s3", "swift"])
def test_rclone(name: str, door: str, shell: Shell, many: str) -> None:
    rclone = [program(name), "--config", os.devnull, "--retries", "1", "--low-level-retries", "1"]
    s3 = shell.cloud.s3
    kinds = {
        "s3": f":s3,provider=Other,env_auth,endpoint='{s3['AWS_ENDPOINT_URL']}',region={s3['AWS_REGION']}:",
        "swift": ":swift,env_auth:",
    }
    remote = kinds[door]
    bucket = f"{remote}{name}-{door}"
    tree = shell.tree()
    shell(*rclone, "mkdir", bucket)
    shell(*rclone, "copy", str(tree), f"{bucket}/deep")
    shell(*rclone, "check", "--download", str(tree), f"{bucket}/deep")
    shell(*rclone, "check", str(tree), f"{bucket}/deep")
    shell(*rclone, "copy", f"{bucket}/deep", str(shell.home / "back"))
    assert contents(shell.home / "back") == contents(tree)
    assert len(shell(*rclone, "lsf", f"{remote}{many}").splitlines()) == MANY
    shell(*rclone, "purge", bucket)


def test_s3cmd(shell: Shell, many: str) -> None:
    s3 = shell.cloud.s3
    host = s3["AWS_ENDPOINT_URL"].rpartition("//")[2]
    s3cmd = [program("s3cmd"), "--config", os.devnull, f"--host={host}", f"--host-bucket={host}", "--no-ssl"]
    s3cmd += [f"--access_key={s3['AWS_ACCESS_KEY_ID']}", f"--secret_key={s3['AWS_SECRET_ACCESS_KEY']}"]
    s3cmd += [f"--region={s3['AWS_REGION']}", "--no-progress"]
    tree = shell.tree(name for name in FILE_NAMES if name.isprintable())  # it renames files with control characters
    shell(*s3cmd, "mb", "s3://s3cmd-sync")
    shell(*s3cmd, "sync", "--multipart-chunk-size-mb=5", f"{tree}/", "s3://s3cmd-sync/deep/")
    (shell.home / "back").mkdir()
    shell(*s3cmd, "sync", "s3://s3cmd-sync/deep/", f"{shell.home}/back/")
    assert contents(shell.home / "back") == contents(tree)
    shell(*s3cmd, "setacl", "--acl-public", "s3://s3cmd-sync/deep/plain")
    assert "READ" in shell(*s3cmd, "info", "s3://s3cmd-sync/deep/plain")
    assert len(shell(*s3cmd, "ls", f"s3://{many}/").splitlines()) == MANY
    shell(*s3cmd, "rb", "--force", "--recursive", "s3://s3cmd-sync")


@pytest.mark.parametrize("door", ["s3", "swift"])
def test_restic(door: str, shell: Shell) -> None:
    endpoint = shell.cloud.s3["AWS_ENDPOINT_URL"]
    repository = {"s3": f"s3:{endpoint}/restic-repo", "swift": "swift:restic-swift:/"}[door]
    restic = [program("restic"), "-r", repository, "--no-cache", "-q"]
    tree = shell.tree()
    secret = {"RESTIC_PASSWORD": "a password for a test"}
    shell(*restic, "init", **secret)
    shell(*restic, "backup", str(tree), **secret)
    (tree / "plain").write_text("changed")
    shell(*restic, "backup", str(tree), **secret)
    shell(*restic, "forget", "--keep-last", "1", "--prune", **secret)
    shell(*restic, "check", "--read-data", **secret)
    shell(*restic, "restore", "latest", "--target", str(shell.home / "back"), **secret)
    assert contents(shell.home / "back" / tree.relative_to("/")) == contents(tree)


def test_swiftclient(shell: Shell, many: str) -> None:
    swift = program("swift")
    tree = shell.tree()
    shell(swift, "upload", "swift-client", str(tree), "--object-name", "deep")
    segmented = ["upload", "swift-client", str(tree / "large"), "--segment-size", str(6 << 20)]
    shell(swift, *segmented, "--object-name", "slo", "--use-slo")
    shell(swift, *segmented, "--object-name", "dlo", "--use-dlo")
    for name in ("slo", "dlo", "deep/large"):
        shell(swift, "download", "swift-client", name, "--output", str(shell.home / "large"))
        assert (shell.home / "large").read_bytes() == (tree / "large").read_bytes(), name
    shell(swift, "download", "swift-client", "--prefix", "deep/", "--output-dir", str(shell.home / "back"))
    assert contents(shell.home / "back" / "deep") == contents(tree)
    shell(swift, "post", "swift-client", "-r", ".r:*,.rlistings", "-m", "Colour:blue")
    assert "blue" in shell(swift, "stat", "swift-client")
    assert len(shell(swift, "list", many).splitlines()) == MANY
    shell(swift, "delete", "swift-client")


def test_swift_temporary_url(shell: Shell, demo: Keystone) -> None:
    swift = program("swift")
    (shell.home / "note").write_text("for a while")
    shell(swift, "upload", "tempurl", "note")
    shell(swift, "post", "-m", "Temp-URL-Key:a key for a test")
    account = demo.endpoint("object-store")
    path = account[account.index("/v1") :] + "/tempurl/note"
    signed = shell(swift, "tempurl", "GET", "3600", path, "a key for a test", "--digest", "sha256").strip()
    origin = account[: account.index("/v1")]
    assert shell("curl", "-sS", "--fail", origin + signed) == "for a while"
    refused = subprocess.run(["curl", "-sS", "--fail", f"{origin}{signed}0"], capture_output=True, check=False)
    assert refused.returncode != 0


def test_openstackclient(shell: Shell) -> None:
    openstack = program("openstack")
    (shell.home / "note").write_text("kept")
    shell(openstack, "container", "create", "osc")
    shell(openstack, "object", "create", "osc", "note")
    assert json.loads(shell(openstack, "object", "list", "osc", "-f", "json")) == [{"Name": "note"}]
    shell(openstack, "object", "save", "osc", "note", "--file", str(shell.home / "back"))
    assert (shell.home / "back").read_text() == "kept"
    catalog = json.loads(shell(openstack, "catalog", "list", "-f", "json"))
    assert {entry["Type"] for entry in catalog} >= {"identity", "object-store"}
    shell(openstack, "container", "delete", "--recursive", "osc")


@pytest.mark.parametrize("door", ["s3", "swift"])
def test_duplicity(door: str, shell: Shell) -> None:
    duplicity = program("duplicity")
    tree = shell.tree()
    if door == "s3":
        shell(program("awscli"), "s3", "mb", "s3://duplicity-s3")
        target = ["--s3-endpoint-url", shell.cloud.s3["AWS_ENDPOINT_URL"], "boto3+s3://duplicity-s3/backup"]
    else:
        target = ["swift://duplicity-swift"]
    auth = shell.cloud.clouds["andromede"]["auth"]
    swift = {
        "SWIFT_USERNAME": auth["username"],
        "SWIFT_PASSWORD": auth["password"],
        "SWIFT_AUTHURL": f"{shell.cloud.identity_url}/v3",
        "SWIFT_AUTHVERSION": "3",
        "SWIFT_TENANTNAME": auth["project_name"],
        "SWIFT_USER_DOMAIN_NAME": "Default",
        "SWIFT_PROJECT_DOMAIN_NAME": "Default",
    }
    common = ["--no-encryption", "--archive-dir", str(shell.home / "archive"), "--num-retries", "1"]
    shell(duplicity, "full", *common, str(tree), *target, **swift)
    shell(duplicity, "restore", *common, *target, str(shell.home / "back"), **swift)
    assert contents(shell.home / "back") == contents(tree)


def test_aws_sdk_for_javascript(shell: Shell, many: str) -> None:
    program("aws-sdk-js")
    folder = {"NODE_FOLDER": str(BUILD / "npm"), "NODE_NO_WARNINGS": "1"}
    assert "10,000 keys" in shell(program("node"), str(HERE / "aws_sdk.mjs"), shell.names_file(), many, **folder)
