"""The image service: where bytes lie, what looks into them, and the images that this installation provides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.images.bases import Bases
    from andromede.images.engine import Inspector
    from andromede.images.service import Images
    from andromede.web.api import Mount


def service(site: Site) -> Images:
    """Images, for their API and for Nova and Cinder."""
    from andromede.images.content import Content
    from andromede.images.service import Images, Limits

    limits = Limits(site.config.hosting.image_gb << 30, site.config.hosting.project_images_gb << 30)
    return Images(site.desk, Content(lambda: site.objects), limits)


def inspector(site: Site) -> Inspector:
    """qemu-img, under limits."""
    from andromede.engines.images.inspector import QemuInspector

    return QemuInspector(site.place.image_bases)


def bases(site: Site) -> Bases:
    """Files that servers and volumes of this host begin as."""
    from andromede.images.bases import Bases

    return Bases(site.place.image_bases, inspector(site), lambda: site.images)


def mounts(site: Site) -> list[Mount]:
    """Glance's API."""
    from andromede.images import routes

    return [routes.mount(site.images)]


def duties(site: Site) -> Duties:
    """Lifecycles of images."""
    from andromede.engines.images.download import HttpDownloader
    from andromede.images import lifecycle

    downloader = HttpDownloader(site.base.clock, site.config.hosting.import_private_addresses)
    images = site.images
    host = lifecycle.Host(site.desk, images, images.content, inspector(site), downloader, site.bases)
    return Duties((lifecycle.images(host),))
