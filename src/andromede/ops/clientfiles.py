"""`clouds.yaml` and `s3.env`: what clients need to find and enter the cloud. Mode 0600.

Written once with the first passwords; later only addresses are replaced, so that a password that
the owner changed in the file stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from andromede.ops.layout import Layout, private_write


@dataclass(frozen=True, slots=True)
class Places:
    """Where the cloud is to be found."""

    api_url: str
    objects_url: str
    region: str
    ca: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """A user with a password in a project, all in the default domain."""

    cloud: str
    user: str
    project: str
    password: str


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An S3 credential."""

    access: str
    secret: str


def _cloud(login: Login, places: Places) -> str:
    lines = [
        f"  {login.cloud}:",
        "    auth_type: password",
        "    auth:",
        f"      auth_url: {places.api_url}/identity/v3",
        f"      username: {login.user}",
        f'      password: "{login.password}"',
        f"      project_name: {login.project}",
        "      user_domain_id: default",
        "      project_domain_id: default",
        f"    region_name: {places.region}",
        "    identity_api_version: 3",
        "    interface: public",
    ]
    if places.ca:
        lines.append(f'    cacert: "{places.ca}"')
    return "\n".join(lines) + "\n"


def _merge_line(text: str, pattern: str, line: str, after: str) -> str:
    """Replace the lines that match, drop them when `line` is empty, or add `line` after each `after`."""
    without = re.sub(rf"(?m)^{pattern}.*\n", "", text)
    return re.sub(rf"(?m)^({after}.*\n)", lambda match: match[1] + line, without) if line else without


def write_clouds(layout: Layout, logins: list[Login], places: Places) -> None:
    """A fresh `clouds.yaml`."""
    head = "# Written by andromede up. Addresses are kept current; change passwords here when you change them.\n"
    private_write(layout.clouds, head + "clouds:\n" + "".join(_cloud(login, places) for login in logins))


def write_s3(layout: Layout, key: AccessKey, places: Places) -> None:
    """A fresh `s3.env`, to be read by a shell: `set -a; . DIR/s3.env; set +a`."""
    lines = [
        f"AWS_ACCESS_KEY_ID={key.access}",
        f"AWS_SECRET_ACCESS_KEY={key.secret}",
        f"AWS_ENDPOINT_URL={places.objects_url}",
        f"AWS_REGION={places.region}",
        f"AWS_DEFAULT_REGION={places.region}",
    ]
    if places.ca:
        lines.append(f"AWS_CA_BUNDLE={places.ca}")
    private_write(layout.s3_env, "\n".join(lines) + "\n")


def _refresh(path: Path, text: str) -> bool:
    old = path.read_text()
    if old != text or path.stat().st_mode & 0o077:
        private_write(path, text)
    return old != text


def refresh(layout: Layout, places: Places) -> list[str]:
    """Bring addresses, region and CA in existing files up to date; the names of files that changed."""
    changed = []
    if layout.clouds.exists():
        text = re.sub(r"(?m)^(\s+auth_url: ).*$", rf"\g<1>{places.api_url}/identity/v3", layout.clouds.read_text())
        text = re.sub(r"(?m)^(    region_name: ).*$", rf"\g<1>{places.region}", text)
        cacert = f'    cacert: "{places.ca}"\n' if places.ca else ""
        text = _merge_line(text, "    cacert: ", cacert, "    interface: ")
        if _refresh(layout.clouds, text):
            changed.append(layout.clouds.name)
    if layout.s3_env.exists():
        text = re.sub(r"(?m)^(AWS_ENDPOINT_URL=).*$", rf"\g<1>{places.objects_url}", layout.s3_env.read_text())
        text = re.sub(r"(?m)^(AWS(?:_DEFAULT)?_REGION=).*$", rf"\g<1>{places.region}", text)
        bundle = f"AWS_CA_BUNDLE={places.ca}\n" if places.ca else ""
        text = _merge_line(text, "AWS_CA_BUNDLE=", bundle, "AWS_REGION=")
        if _refresh(layout.s3_env, text):
            changed.append(layout.s3_env.name)
    return changed
