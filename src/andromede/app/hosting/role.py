"""The host role: the one process that touches hypervisor, networks and volumes, and needs the rights for it."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from andromede.app import hosting
from andromede.app.base import Base
from andromede.app.hosting import rival
from andromede.app.hosting.site import Duties, Site
from andromede.app.processes import ended
from andromede.config import Config
from andromede.ops import running
from andromede.ops.layout import Layout
from andromede.ops.supervise import Ready, Role

if TYPE_CHECKING:
    from andromede.work.runner import Runner

STEP_THREADS = 8


def host_role(config: Config) -> Role:
    """The worker of this hypervisor host."""
    return Role("host", lambda ready: _host(config, ready))


def runner(site: Site, duties: list[Duties]) -> Runner:
    """The step runner over the lifecycles of all domains."""
    from andromede.work.runner import Runner, Tools

    base = site.base
    tools = Tools(base.db, base.clock, base.ids, base.log, base.recorder, site.holder)
    return Runner(tools, [lifecycle for part in duties for lifecycle in part.lifecycles], STEP_THREADS)


def _host(config: Config, ready: Ready) -> None:
    from andromede.work import Leases, Loop
    from andromede.work.wake import listen

    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ending.set())
    base = Base.open(config, running.take_name(Layout(config.data), "host-0"))
    site = Site(base)
    rival.claim(config)
    duties = hosting.duties(site)
    steps = runner(site, duties)
    steps.free(ended)
    leases = Leases(base.db, site.holder, base.clock)
    leases.free(ended)
    loop = Loop([task for part in duties for task in part.reconcilers], leases, base.clock, base.ids, base.log)
    pulse = base.pulse()
    pulse.start()
    listen(site.place.run, steps.wake)
    for part in duties:
        for start in part.starts:
            start()
    stepping = threading.Thread(target=steps.run, args=(ending,), name="steps")
    stepping.start()
    ready()
    loop.run(ending)
    steps.wake()
    stepping.join()
    site.close()
    pulse.stop()
    base.db.close()
