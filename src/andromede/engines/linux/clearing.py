"""Taking everything of one installation out of the kernel, whatever its rows say."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from andromede.engines.linux import kernel, names, outside
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import Links


def clear(host: Host) -> list[str]:
    """End the processes of its networks, remove its namespaces, links, rules and files; what was there, in words. What
    is gone already is no fault, so this may be repeated."""
    found = []
    for pid, words in _processes(host):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        found.append(f"process {pid} ({words})")
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


def _processes(host: Host) -> Iterator[tuple[int, str]]:
    """Processes in a namespace of ours, or with a file of our networks on their command line; never this one."""
    begin = f"{host.runtime / 'net'}{os.sep}"
    spaces = {kernel.inode(name) for name in kernel.names(names.prefix(host.installation))} - {None}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
            if begin in line or os.stat(folder / "ns" / "net").st_ino in spaces:
                yield int(folder.name), line[:80]
