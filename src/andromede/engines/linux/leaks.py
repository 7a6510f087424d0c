"""What stands in the kernel and below the runtime folder with an installation's name on it, less what is wanted."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from andromede.engines.linux import kernel, names
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import Link, Links
from andromede.network.engine import HOUSE, NONE, NetworkPart, OutsidePart, Part, RouterPart


class _Wanted:
    """What the parts of an installation account for."""

    def __init__(self, host: Host, parts: Iterable[Part]) -> None:
        self.spaces: set[str] = set()
        self.ports: set[str] = set()
        self.folders: set[str] = set()
        self.outside = False
        for part in parts:
            self.folders.add(names.short(part.id, 32))
            if isinstance(part, NetworkPart):
                self._network(host, part)
            elif isinstance(part, RouterPart):
                self.spaces.add(names.namespace(host.installation, "r", part.id))
                self.ports |= {leg.port_id for leg in part.legs} | ({part.gateway.port_id} if part.gateway else set())
            elif isinstance(part, OutsidePart):
                self.outside = True

    def _network(self, host: Host, part: NetworkPart) -> None:
        self.spaces.add(names.namespace(host.installation, "n", part.id))
        self.ports |= {port.id for port in part.ports if port.kind != NONE} | {part.id}
        for port in part.ports:
            if port.kind == HOUSE:
                self.spaces.add(names.namespace(host.installation, "p", port.id))


def leaks(host: Host, parts: Iterable[Part]) -> list[str]:
    """One line for each namespace, link, rule table, process and folder that nothing in `parts` accounts for."""
    wanted = _Wanted(host, parts)
    return [*_spaces(host, wanted), *_outside(host, wanted), *_processes(host, wanted), *_folders(host, wanted)]


def _spaces(host: Host, wanted: _Wanted) -> Iterator[str]:
    for name in kernel.names(names.prefix(host.installation)):
        if name not in wanted.spaces:
            yield f"network namespace {name}"
        elif kernel.inode(name) is not None and "-n-" in name:
            for link in kernel.inside(name, _links):
                if link.name.startswith(("tap", "r-")) and link.alias not in wanted.ports:
                    yield f"link {link.name} ({link.alias or 'no port'}) in network namespace {name}"


def _links() -> list[Link]:
    with Links() as links:
        return sorted(links.all().values(), key=lambda link: link.name)


def _outside(host: Host, wanted: _Wanted) -> Iterator[str]:
    for link in _links():
        if link.name == names.bridge(host.installation) and not wanted.outside:
            yield f"bridge {link.name}"
        elif link.name.startswith(f"ag{host.installation}") and link.alias not in wanted.ports:
            yield f"link {link.name} ({link.alias or 'no port'})"
    if not wanted.outside:
        ran = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, timeout=10, check=False)
        yield from (f"nft {line}" for line in ran.stdout.splitlines() if line.endswith(names.table(host.installation)))


@dataclass(frozen=True, slots=True)
class Process:
    """One of an installation's networks: with a file of theirs on its command line, in the folder of that name, or in
    a namespace of theirs."""

    pid: int
    words: list[str]
    folder: str | None
    space: str | None


def processes(host: Host) -> Iterator[Process]:
    """Every process of an installation's networks."""
    begin = f"{host.runtime / 'net'}{os.sep}"
    found = {kernel.inode(name): name for name in kernel.names(names.prefix(host.installation))}
    spaces = {inode: name for inode, name in found.items() if inode is not None}
    for pid, words in kernel.processes():
        folder = next((word.partition(begin)[2].partition(os.sep)[0] for word in words if begin in word), None)
        space = spaces.get(kernel.inode_of(pid) or 0)
        if folder is not None or space is not None:
            yield Process(pid, words, folder, space)


def _processes(host: Host, wanted: _Wanted) -> Iterator[str]:
    for one in processes(host):
        stray = one.folder is not None and one.folder not in wanted.folders
        if stray or (one.space is not None and one.space not in wanted.spaces):
            yield f"process {one.pid} ({' '.join(one.words[:2]).strip()})"


def _folders(host: Host, wanted: _Wanted) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        for path in sorted((host.runtime / "net").iterdir()):
            if path.name not in wanted.folders:
                yield f"folder {path}"
