"""What a suite wants of a cloud that hosts: two images, two flavors, a network outside, and what is offered."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.installation import ROOT, Installation, wait_until
from tests.support.keystone import Keystone

IMAGE_SECONDS = 900.0
DEBIAN = "debian-12"
"""The name in `hosting.images` of the guest with a whole distribution."""
STANDARD = ("architecture", "os_distro", "os_version", "hw_disk_bus", "image_original_user", "hw_rng_model",
            "image_build_date", "image_description", "provided_until", "image_source", "replace_frequency",
            "uuid_validity", "os_purpose", "hash_algo")  # fmt: skip
"""Properties that SCS-0102 wants of every public image."""
SETTINGS: dict[str, object] = {
    "hosting.enabled": "on",
    "hosting.vcpu_ratio": 16.0,
    "hosting.reserved_memory_mb": 512,
    "hosting.import_private_addresses": True,
    "hosting.image_cache": str(ROOT / "build" / "guests"),
}
"""Settings of an installation for suites: more virtual CPUs than cores, because small guests mostly wait."""


def settings() -> dict[str, object]:
    """SETTINGS, with a range of its own for the network outside: several installations may run on one machine."""
    return {**SETTINGS, "hosting.external_cidr": f"10.{random.randrange(64, 250)}.{random.randrange(256)}.0/24"}


def why_not() -> str:
    """Why this machine cannot host, or nothing."""
    from andromede.ops import hosting

    if os.geteuid() != 0:
        return "hosting needs root"
    return "; ".join(hosting.able().missing)


@dataclass(slots=True)
class Hosted:
    """Ids and facts. `newest`: maximum microversions by the services' names; `file`: the guest's image; `providers`: of
    load balancers, with their descriptions."""

    image: str = ""
    image_alt: str = ""
    flavor: str = ""
    flavor_alt: str = ""
    public_id: str = ""
    public_name: str = ""
    user: str = "tiny"
    extensions: list[str] = field(default_factory=list)
    newest: dict[str, str] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)
    file: Path = Path("tiny.qcow2")
    web: str = ""


class Preparer:
    """Makes what is missing through the APIs, as an administrator of the cloud would."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.folder = installation, folder
        self.admin = Keystone.admin(installation)
        self.types = {entry["type"] for entry in self.admin.catalog}

    def ask(self, method: str, kind: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of an answer that must be a success; `kind` is a type of the catalog."""
        sent = {"X-Auth-Token": self.admin.token, **headers}
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        answer = self.admin.http.request(method, self.admin.endpoint(kind) + path, headers=sent, **content)
        assert answer.status_code < 300, f"{method} {kind} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else answer.content

    def prepare(self) -> Hosted:
        made = Hosted(file=self.folder / "tiny.qcow2")
        if "image" in self.types:
            self._images(made)
        if "compute" in self.types:
            self._flavors(made)
        if "network" in self.types:
            self._network(made)
        if "load-balancer" in self.types:
            found = self.ask("GET", "load-balancer", "/v2.0/lbaas/providers")["providers"]
            made.providers = {row["name"]: row["description"] for row in found}
        services = ("compute", "volume", "placement", "key-manager")
        made.newest = {name: newest for name in services if (newest := self._newest(name))}
        return made

    def image(self, name: str) -> Mapping[str, Any]:
        """A public image, once it is there."""

        def active() -> Mapping[str, Any] | None:
            found = self.ask("GET", "image", f"/v2/images?name={quote(name)}")["images"]
            return next((image for image in found if image["status"] == "active"), None)

        found: Mapping[str, Any] = wait_until(f"the image {name}", active, IMAGE_SECONDS, 1.0)
        return found

    def copy_image(self, name: str, properties: Mapping[str, str]) -> str:
        """The id of a public image with another's bytes and properties, but for those given."""
        image = self.image(name)
        content = self.ask("GET", "image", f"/v2/images/{image['id']}/file")
        wish = {"visibility": "public", "disk_format": "qcow2", "container_format": "bare"}
        wish |= {key: image[key] for key in (*STANDARD, "min_disk", "min_ram") if key in image} | dict(properties)
        made = str(self.ask("POST", "image", "/v2/images", wish)["id"])
        octets = {"Content-Type": "application/octet-stream"}
        self.ask("PUT", "image", f"/v2/images/{made}/file", content, **octets)
        return made

    def _images(self, made: Hosted) -> None:
        image = self.image("tiny")
        made.image = image["id"]
        made.user = image.get("image_original_user") or made.user
        made.file.write_bytes(self.ask("GET", "image", f"/v2/images/{made.image}/file"))
        made.image_alt = self.copy_image("tiny", {"name": "tiny again"})

    def _flavors(self, made: Hosted) -> None:
        def flavor(name: str, ram: int, disk: int) -> str:
            wish = {"name": name, "ram": ram, "vcpus": 1, "disk": disk, "os-flavor-access:is_public": True}
            return str(self.ask("POST", "compute", "/flavors", {"flavor": wish})["flavor"]["id"])

        made.flavor = flavor("suite-small", 192, 1)
        made.flavor_alt = flavor("suite-larger", 256, 2)

    def _network(self, made: Hosted) -> None:
        def public() -> Mapping[str, Any] | None:
            found = self.ask("GET", "network", "/v2.0/networks?router:external=true")["networks"]
            return next(iter(found), None)

        network = wait_until("a network outside", public, 60.0, 0.5)
        made.public_id, made.public_name = network["id"], network["name"]
        self.ask("GET", "network", "/v2.0/security-groups")  # the administrator's default group is there from now on
        every = self.ask("GET", "network", "/v2.0/extensions")["extensions"]
        made.extensions = sorted(extension["alias"] for extension in every)

    def _newest(self, kind: str) -> str:
        """The newest microversion that the version document of a service tells."""
        entry = {"volume": "block-storage"}.get(kind, kind)
        if entry not in self.types:
            return ""
        url = self.admin.endpoint(entry)
        url = url.partition("/v3/")[0] + "/v3/" if kind == "volume" else url + "/"
        answer = self.admin.http.get(url, headers={"X-Auth-Token": self.admin.token}).json()
        versions = [answer["version"]] if "version" in answer else answer["versions"]
        return max(
            (version.get("version") or version.get("max_version") or "" for version in versions),
            key=lambda text: tuple(int(part) for part in text.split(".") if part.isdigit()),
        )


def prepare(installation: Installation, folder: Path) -> Hosted:
    folder.mkdir(parents=True, exist_ok=True)
    return Preparer(installation, folder).prepare()


@contextmanager
def served(facts: Hosted) -> Iterator[None]:
    """A web server with images for imports by URL, at `facts.web`: `small.img`, `tiny.qcow2`."""
    folder = facts.file.parent
    (folder / "small.img").write_bytes(b"\0" * (1 << 20))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    facts.web = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *words: Any) -> None:
        """Says nothing."""
