"""Network namespaces by name, and threads that enter them. Only such a thread sees a namespace, and it ends there:
no thread that others use is ever moved."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from andromede.engines.linux.names import NAMESPACES
from andromede.errors import Unavailable

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_SHARED, _MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
_OWN = "/proc/thread-self/ns/net"
"""sched.h, sys/mount.h."""

T = TypeVar("T")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: Path, flags: int) -> None:
    _check(_libc.mount(source.encode(), str(target).encode(), b"none", ctypes.c_ulong(flags), None), f"mount {target}")


def _alone(call: Callable[[], T], name: str) -> T:
    """The answer of `call` from a thread of its own."""
    answer: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            answer.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return answer[0]


def inside(name: str, call: Callable[[], T]) -> T:
    """The answer of `call`, made by a new thread within the namespace. Sockets and programs that it opens stay there.
    Raises `Unavailable` when there is no such namespace."""

    def enter() -> T:
        if inode(name) is None:  # or a name only, which another thread is about to give to it
            raise Unavailable(f"the network namespace {name} is not there (yet); the next turn makes it")
        fd = os.open(NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(fd, _CLONE_NEWNET), f"enter {name}")
        finally:
            os.close(fd)
        return call()

    return _alone(enter, f"in {name}")


def apart(call: Callable[[], None]) -> None:
    """Have something done in the calling thread's namespace that nobody waits for: closing a packet socket takes the
    kernel long. A thread begins in the namespace of the one that starts it."""
    threading.Thread(target=call, name="apart", daemon=True).start()


@contextlib.contextmanager
def beside(call: Callable[[], object]) -> Iterator[None]:
    """Have something done in the calling thread's namespace while the block runs, and wait for it at the block's end.
    Its failure is raised there, unless the block has one of its own."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failure:
        raise failure[0]


def inode(name: str) -> int | None:
    """What tells a namespace from any other, None when there is none of that name."""
    try:
        found = os.stat(NAMESPACES / name)
    except FileNotFoundError:
        return None
    return found.st_ino if found.st_dev == os.stat("/proc/self/ns/net").st_dev else None


def inode_of(pid: int) -> int | None:
    """The same of the namespace that a process runs in."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def processes() -> Iterator[tuple[int, list[str]]]:
    """Pid and command line of every process; of one that ends meanwhile nothing."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes()
                yield int(folder.name), line.decode(errors="replace").split("\0")


def _prepare_folder() -> None:
    """As ip-netns(8) does: a shared mount, so that other mount namespaces see names come and go."""
    NAMESPACES.mkdir(mode=0o755, parents=True, exist_ok=True)
    fd = os.open(NAMESPACES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # two mounts over each other would hide the names in the first
        with open("/proc/thread-self/mountinfo") as mounts:
            if any(line.split()[4] == str(NAMESPACES) for line in mounts):  # proc(5): the fifth field is the place
                return
        _mount(str(NAMESPACES), NAMESPACES, _MS_BIND)
        _mount("", NAMESPACES, _MS_SHARED | _MS_REC)
    finally:
        os.close(fd)


def create(name: str) -> bool:
    """Make a namespace, if there is none; whether it was made. A name that an interrupted call left bare is used."""
    if inode(name) is not None:
        return False
    _prepare_folder()
    path = NAMESPACES / name
    path.touch(mode=0o444, exist_ok=True)

    def make() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "a new network namespace")
        _mount(_OWN, path, _MS_BIND)

    _alone(make, f"make {name}")
    return True


def destroy(name: str) -> None:
    """Take a namespace's name away. It ends with the last socket and process in it."""
    path = NAMESPACES / name
    while inode(name) is not None:
        _check(_libc.umount2(str(path).encode(), _MNT_DETACH), f"unmount {name}")
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def names(prefix: str) -> list[str]:
    """Names that begin so, mounted or bare."""
    try:
        return sorted(name for name in os.listdir(NAMESPACES) if name.startswith(prefix))
    except FileNotFoundError:
        return []


def sysctl(values: dict[str, str | int]) -> None:
    """Set keys (`net/ipv4/ip_forward`) of the calling thread's namespace, where they differ."""
    for word, value in values.items():
        path = Path("/proc/sys") / word
        if path.read_text().strip() != str(value):
            path.write_text(f"{value}\n")


def read_sysctl(word: str) -> str | None:
    """A key of the calling thread's namespace, None where the kernel has none of that name."""
    try:
        return (Path("/proc/sys") / word).read_text().strip()
    except OSError:
        return None


def readable(fd: int, seconds: float) -> bool:
    """Wait until a descriptor can be read: that of a process, until it has ended. Whether it can."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
