"""The neighbours of the compute service in the form in which it asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from andromede.compute.engine import Figures
from andromede.compute.neighbours import (
    AddressFacts,
    GroupFacts,
    ImageFacts,
    NetworkFacts,
    NicFacts,
    PortFacts,
    VolumeFacts,
)
from andromede.db import Tx
from andromede.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site


class VolumesHere:
    """Block storage."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, volume_id: str, project_id: str) -> VolumeFacts:
        """A volume of the project."""
        found = self._site.volumes.find(volume_id, project_id)
        image = self._site.volumes.image_of(volume_id) if found.bootable else {}
        return VolumeFacts(
            found.id, found.name or "", found.state, found.size, found.bootable, found.multiattach, image
        )  # fmt: skip

    def snapshot(self, snapshot_id: str, project_id: str) -> VolumeFacts:
        """A snapshot of the project."""
        found = self._site.volumes.find_snapshot(snapshot_id, project_id)
        return VolumeFacts(found.id, found.name or "", found.state, found.size, True)

    def reserve(self, volume_id: str, project_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """Hold a volume for a server."""
        self._site.volumes.reserve(volume_id, project_id, server_id, request_id, tx)

    def begin_detaching(self, volume_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """The server is asked to let go."""
        self._site.volumes.begin_detaching(volume_id, server_id, request_id, tx)


class ImagesHere:
    """Images."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, image_id: str, project_id: str) -> ImageFacts:
        """An image that the project sees."""
        raise NotFound(f"Image {image_id} could not be found.", "image")

    def create(self, project_id: str, user_id: str, name: str, properties: Mapping[str, Any], request_id: str) -> str:
        """A queued image."""
        raise Unavailable("the image service does not answer", "image")


class NetworksHere:
    """Networks and ports."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def choices(self, project_id: str) -> Sequence[NetworkFacts]:
        return []

    def find(self, network_id: str, project_id: str) -> NetworkFacts:
        raise NotFound(f"Network {network_id} could not be found.", "network")

    def port(self, port_id: str, project_id: str) -> PortFacts:
        raise NotFound(f"Port {port_id} could not be found.", "port")

    def ports_of(self, server_id: str) -> Sequence[PortFacts]:
        return []

    def addresses(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[AddressFacts]]:
        return {}

    def group_names(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {}

    def groups(self, project_id: str) -> Sequence[GroupFacts]:
        return []

    def groups_of(self, server_id: str) -> Sequence[GroupFacts]:
        return []

    def nics(self, server_id: str) -> Sequence[NicFacts]:
        return []

    def server_of(self, port_id: str) -> str:
        return ""

    def create_port(
        self, project_id: str, server_id: str, network_id: str, fixed_ip: str, request_id: str
    ) -> PortFacts:
        raise Unavailable("the network service does not answer", "network")

    def delete_port(self, port_id: str, request_id: str) -> None:
        raise Unavailable("the network service does not answer", "network")

    def add_address(self, port_id: str, request_id: str) -> None:
        raise Unavailable("the network service does not answer", "network")

    def remove_address(self, port_id: str, address: str, request_id: str) -> None:
        raise Unavailable("the network service does not answer", "network")

    def associate(self, project_id: str, address: str, port_id: str, fixed_ip: str, request_id: str) -> None:
        raise Unavailable("the network service does not answer", "network")

    def change_group(self, server_id: str, group_id: str, add: bool, request_id: str) -> None:
        raise Unavailable("the network service does not answer", "network")


class NoViews:
    """Where the host role is not reachable."""

    def console(self, guest_id: str, lines: int | None) -> str:
        return ""

    def screenshot(self, guest_id: str) -> bytes:
        raise Unavailable("the host role does not answer", "host")

    def figures(self, guest_id: str) -> Figures:
        raise Unavailable("the host role does not answer", "host")
