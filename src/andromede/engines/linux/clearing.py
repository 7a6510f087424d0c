"""Taking everything of one installation out of the kernel, whatever its rows say."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal

from andromede.engines.linux import kernel, names, outside
from andromede.engines.linux.host import Host
from andromede.engines.linux.leaks import processes
from andromede.engines.linux.links import Links


def clear(host: Host) -> list[str]:
    """End the processes of its networks, remove its namespaces, links, rules and files; what was there, in words. What
    is gone already is no fault, so this may be repeated."""
    found = []
    for one in processes(host):
        if one.pid == os.getpid():
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
        found.append(f"process {one.pid} ({' '.join(one.words).strip()[:80]})")
    for name in kernel.names(names.prefix(host.installation)):
        kernel.destroy(name)
        found.append(f"network namespace {name}")
    with Links() as links:
        for link in sorted(links.all().values(), key=lambda link: link.name):
            if link.name.startswith(f"ag{host.installation}"):
                links.remove(link.name)
                found.append(f"link {link.name}")
            elif link.name == names.bridge(host.installation):
                found.append(f"bridge {link.name}")
    outside.remove(host)
    shutil.rmtree(host.runtime / "net", ignore_errors=True)
    return found
