"""Locks, wheel, bill of materials and audit: what is installed is what was meant, and the same everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("dev", "postgresql", "s3")
LOCKS = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-dev.lock": PROJECT["dependencies"] + [x for e in EXTRAS for x in PROJECT["optional-dependencies"][e]],
}
pytestmark = pytest.mark.timeout(300)


def locked(name: str) -> dict[str, tuple[Version, int]]:
    """Package -> (version, number of hashes)."""
    entries = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text()).splitlines()
    found = {}
    for line in entries:
        if line.strip() and not line.lstrip().startswith("#"):
            package, _, rest = line.partition("==")
            version = rest.split()[0]
            found[canonicalize_name(package)] = (Version(version), line.count("--hash=sha256:"))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_the_project_asks_for(name: str) -> None:
    found = locked(name)
    assert [package for package, (_, hashes) in found.items() if not hashes] == []
    for text in LOCKS[name]:
        wanted = Requirement(text)
        version, _ = found[canonicalize_name(wanted.name)]
        assert version in wanted.specifier, text
    words = (ROOT / name).read_text()
    assert "://" not in words and "index-url" not in words and "find-links" not in words


def test_the_locks_agree_and_serve_every_machine() -> None:
    run, dev = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: run[name][0] for name in run} == {name: dev[name][0] for name in run}
    # three Pythons, two architectures, two C libraries
    for compiled in ("cffi", "httptools", "lxml", "msgspec", "uvloop"):
        assert run[compiled][1] >= 12, compiled


def wheel(folder: Path, umask: int, zone: str) -> Path:
    """The wheel of a copy of the sources, made as on another machine."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", tree / "src", ignore=ignored, copy_function=shutil.copy)  # new modification times
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    shutil.copytree(ROOT / "tools", tree / "tools", ignore=ignored)
    for path in tree.rglob("*"):
        os.utime(path, (1_000_000_000 + umask, 1_000_000_000 + umask))
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "TZ": zone, "PYTHONHASHSEED": str(umask)}
    done = subprocess.run(
        [sys.executable, str(tree / "tools" / "wheel"), str(folder / "dist")],
        env=environment, umask=umask, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[0])


def test_the_wheel_is_the_same_everywhere_and_works(tmp_path: Path) -> None:
    first, second = wheel(tmp_path / "a", 0o022, "UTC"), wheel(tmp_path / "b", 0o077, "Asia/Kolkata")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = set(archive.namelist())
    sources = {
        str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "andromede").rglob("*") if path.is_file()
    }
    assert {name for name in sources if "__pycache__" not in name} <= names
    assert "andromede/sovereignty/files/andromede-verify" in names
    place = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(place), str(first)], check=True)
    called = subprocess.run(
        [str(place / "bin" / "andromede"), "--help"], env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert called.returncode == 0, called.stderr
    assert "andromede up" in called.stdout


def test_the_bill_of_materials_names_what_is_locked(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx_py")
    target = tmp_path / "bom.json"
    subprocess.run([sys.executable, str(ROOT / "tools" / "sbom"), str(target)], check=True, capture_output=True)
    bom = json.loads(target.read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["component"]["name"] == "andromede"
    assert "timestamp" not in bom["metadata"] and "serialNumber" not in bom
    parts = {canonicalize_name(part["name"]): part for part in bom["components"]}
    assert {name: Version(part["version"]) for name, part in parts.items()} == {
        name: version for name, (version, _) in locked("requirements.lock").items()
    }
    assert all("SHA-256" in json.dumps(part) for part in parts.values())


def test_an_audit_without_an_answer_is_no_good_news() -> None:
    pytest.importorskip("pip_audit")
    nowhere = dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "audit"), str(ROOT / "requirements.lock")],
        env={**os.environ, **nowhere, "no_proxy": "", "NO_PROXY": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "requirements.lock: NOT CHECKED" in done.stdout
