"""Small HTTP calls to witnesses: one deadline for the whole call, small answers only, no redirects, no proxies.

URLs that tenants give are *guarded*: https only, and every address that the name resolves to must be a public one;
the connection goes to the address that was checked.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from andromede.clock import Clock
from andromede.errors import Invalid, Unavailable

LARGEST_ANSWER = 256 * 1024
CALL_SECONDS = 10.0
CONNECT_SECONDS = 3.0
_SLICE_SECONDS = 0.5
_EMBEDDED = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
"""Local translation prefixes (RFC 8215): what is behind them is for each network to say."""
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type without parameters, body."""

    status: int
    content_type: str
    body: bytes


def is_public(text: str) -> bool:
    """Whether an address is reachable from anywhere; IPv4 addresses inside IPv6 ones count as themselves."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            return False
        if inner is None and any(address in network for network in _EMBEDDED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local or address in _LOCAL:
            return False
    return address.is_global and not address.is_multicast


def check_url(url: str, guarded: bool) -> SplitResult:
    """The parts of a witness's URL. Raises `Invalid`, also for a guarded one that names a place not to be called."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"the witness URL {url[:80]!r} cannot be read: {error}", "url") from error
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 2000
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Invalid(f"the witness URL {url[:80]!r} is not an http or https URL", "url")
    if parts.username is not None or parts.query or parts.fragment:
        raise Invalid(f"the witness URL {url[:80]!r} has a user, query or fragment; give the plain prefix", "url")
    if guarded:
        if parts.scheme != "https":
            raise Invalid(f"the witness URL {url[:80]!r} must begin with https://", "url")
        try:
            public = is_public(parts.hostname.partition("%")[0])
        except ValueError:
            public = "." in parts.hostname and not parts.hostname.endswith((".localhost", ".local", ".internal"))
        if not public:
            raise Invalid(f"{parts.hostname} is not a public address; a witness must be reachable by others", "url")
    return parts


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@lru_cache(64)
def _context(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca or None)


@dataclass(slots=True)
class _Feed:
    """What `http.client` takes for a socket."""

    raw: bytes

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.raw)


@dataclass(frozen=True, slots=True)
class Link:
    """How to reach one witness: its submission prefix, the CA to trust besides the public ones (PEM), and whether a
    tenant named it. `stop` ends a call that is under way."""

    url: str
    clock: Clock
    ca: str = ""
    guarded: bool = False
    seconds: float = CALL_SECONDS
    resolver: Resolve = field(default=resolve)
    stop: threading.Event = field(default_factory=threading.Event)

    def get(self, path: str) -> Answer:
        """GET a path below the prefix. Raises `Unavailable` when there is no answer, `Invalid` for a bad place."""
        return self._call("GET", path, b"")

    def post(self, path: str, body: bytes) -> Answer:
        """POST to a path below the prefix; errors as in `get`."""
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: bytes) -> Answer:
        parts = check_url(self.url, self.guarded)
        end = self.clock.monotonic() + self.seconds
        try:
            with self._connect(parts, end) as connection:
                connection.settimeout(self._left(end))
                connection.sendall(self._head(method, parts, path, body) + body)
                return _parse(self._read(connection, end), method)
        except (OSError, http.client.HTTPException, ValueError, ArithmeticError) as error:
            said = getattr(error, "verify_message", "") or (error.strerror if isinstance(error, OSError) else "")
            text = said or str(error) or type(error).__name__
            raise Unavailable(f"{parts.netloc} does not answer as a witness: {text}", "witness") from error

    def _left(self, end: float) -> float:
        left = end - self.clock.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self.seconds:g} s")
        if self.stop.is_set():
            raise TimeoutError("this process is being stopped")
        return left

    def _head(self, method: str, parts: SplitResult, path: str, body: bytes) -> bytes:
        lines = [f"{method} {parts.path.rstrip('/')}{path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += ["User-Agent: andromede", "Accept: */*", "Connection: close"]
        if method == "POST":
            lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def _connect(self, parts: SplitResult, end: float) -> socket.socket:
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        addresses = self.resolver(host, port)
        if self.guarded and not all(is_public(address.partition("%")[0]) for address in addresses):
            raise Invalid(f"{host} has an address that is not public; a witness must be reachable by others", "url")
        if not addresses:
            raise OSError(f"{host} has no address")
        raw = socket.create_connection((addresses[0], port), min(CONNECT_SECONDS, self._left(end)))
        if parts.scheme == "http":
            return raw
        try:
            raw.settimeout(min(CONNECT_SECONDS, self._left(end)))
            return _context(self.ca).wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise

    def _read(self, connection: socket.socket, end: float) -> bytes:
        """All that the witness sends until it closes, or until the length that it announced."""
        raw, wanted, silence = b"", LARGEST_ANSWER + 1, 0.0
        while len(raw) < wanted:
            piece = min(_SLICE_SECONDS, self._left(end))
            connection.settimeout(piece)
            try:
                part = connection.recv(65536)
            except TimeoutError:
                silence += piece
                if silence >= self.seconds:
                    raise
                continue
            if not part:
                break
            raw += part
            if wanted > LARGEST_ANSWER and b"\r\n\r\n" in raw:
                wanted = _announced(raw)
        if len(raw) > LARGEST_ANSWER:
            raise ValueError(f"the answer is larger than {LARGEST_ANSWER} bytes")
        return raw


def _announced(raw: bytes) -> int:
    head = raw.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit() and len(value) < 20:
            return min(len(head) + 4 + int(value), LARGEST_ANSWER + 1)
    return LARGEST_ANSWER + 1


def _parse(raw: bytes, method: str) -> Answer:
    response = http.client.HTTPResponse(_Feed(raw), method=method)  # type: ignore[arg-type]
    response.begin()
    kind = response.headers.get_content_type()
    return Answer(response.status, kind, response.read())
