"""The image service: where bytes lie, what looks into them, and the images that this installation provides."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.images.bases import Bases
    from andromede.images.engine import Inspector
    from andromede.images.service import Images
    from andromede.web.api import Mount

PROVIDE_SECONDS = 6 * 3600.0
SWEEP_SECONDS = 600.0


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

    def in_use(path: Path) -> bool:
        from andromede.volumes.tables import DISKS

        return DISKS.find(site.base.db, base=str(path)) is not None

    return Bases(site.place.image_bases, inspector(site), lambda: site.images, in_use)


def mounts(site: Site) -> list[Mount]:
    """Glance's API."""
    from andromede.images import routes

    return [routes.mount(site.images)]


def duties(site: Site) -> Duties:
    """Lifecycles of images."""
    from andromede.engines.images.download import HttpDownloader
    from andromede.images import lifecycle
    from andromede.work import Reconciler

    downloader = HttpDownloader(site.base.clock, site.config.hosting.import_private_addresses)
    images = site.images
    host = lifecycle.Host(site.desk, images, images.content, inspector(site), downloader, site.bases)
    sweep = Reconciler("images.bases", SWEEP_SECONDS, site.bases.sweep)
    uploads = Reconciler("images.uploads", SWEEP_SECONDS, images.sweep)
    return Duties((lifecycle.images(host),), (sweep, uploads), (site.bases.clear, lambda: _provide(site)))


def _provide(site: Site) -> None:
    """Build and register the images that this installation provides, beside all else; a daemon thread."""
    from andromede.identity import principals_store
    from andromede.images.provided import Provider, Tools
    from andromede.images.recipes.shelf import Shelf

    base = site.base

    def owner() -> str | None:
        found = principals_store.PROJECTS.find(base.db, name="admin", domain_id="default", is_domain=False)
        return found.id if found else None

    folder = Path(site.config.hosting.image_cache or site.place.built_images)
    tools = Tools(site.images, Shelf(folder, base.clock), base.clock, base.ids, base.log, owner)
    provider = Provider(tools, site.config.hosting.images)

    def run() -> None:
        while True:
            try:
                provider.ensure()
            except Exception as error:
                base.log.alert("image.build", cause=repr(error))
            base.clock.sleep(PROVIDE_SECONDS)

    threading.Thread(target=run, name="images", daemon=True).start()
