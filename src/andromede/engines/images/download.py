"""Fetching images by URL for tenants: every address is looked at before it is used and used as it was looked at, for
each redirect anew; ports, sizes and times are bounded. Nothing of this machine's own networks is reached."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from andromede.clock import Clock
from andromede.errors import Invalid

PORTS = frozenset({80, 443})
MOST_REDIRECTS = 5
CONNECT_SECONDS, STILL_SECONDS, WHOLE_SECONDS = 10.0, 60.0, 4 * 3600.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CARRIED = (
    ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"), ipaddress.ip_network("100.64.0.0/10"), ipaddress.ip_network("198.18.0.0/15"),
)  # fmt: skip
"""Ranges that lead to IPv4 addresses in disguise, or are no part of the Internet though Python calls them so."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: host and port as given, and the address that it was found to have."""

    scheme: str
    host: str
    port: int
    target: str
    address: str


class Body:
    """A response body within its time."""

    def __init__(self, answer: http.client.HTTPResponse, clock: Clock) -> None:
        self._answer = answer
        self._clock = clock
        self._end = clock.monotonic() + WHOLE_SECONDS
        self.length = answer.length if answer.chunked is not True else None

    def readinto(self, view: memoryview, /) -> int:
        """Bytes as they come; `Invalid` when they stop coming."""
        if self._clock.monotonic() > self._end:
            raise refused("it took longer than the longest time for an import")
        try:
            return self._answer.readinto(view)
        except (OSError, http.client.HTTPException) as error:
            raise refused(f"the connection ended before the data did ({type(error).__name__})") from error


class HttpDownloader:
    """`private`: addresses of private networks and any port are allowed; for tests."""

    def __init__(self, clock: Clock, private: bool = False) -> None:
        self._clock = clock
        self._private = private

    @contextmanager
    def open(self, url: str) -> Iterator[Body]:
        """See the port."""
        for _ in range(MOST_REDIRECTS + 1):
            place = self.resolve(url)
            link = _connected(place)
            try:
                answer = _asked(link, place)
                if answer.status not in REDIRECTS:
                    if answer.status != 200:
                        raise refused(f"{place.host} answered {answer.status}")
                    yield Body(answer, self._clock)
                    return
                url = urljoin(url, answer.headers.get("Location", ""))
            finally:
                with suppress(OSError):
                    link.close()
        raise refused(f"it leads from one redirect to the next, more than {MOST_REDIRECTS} times")

    def resolve(self, url: str) -> Place:
        """Where a URL leads, if it may be followed. Invalid reason `uri`."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            raise refused("it is no URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise refused("only http and https URLs with a host are followed")
        if parts.username is not None or parts.password is not None:
            raise refused("a URL with a user name is not followed")
        if port not in PORTS and not self._private:
            raise refused(f"port {port} is not one of {sorted(PORTS)}")
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise refused(f"the host {parts.hostname} has no address") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not self._private and not all(public(address) for address in addresses):
            raise refused(f"the host {parts.hostname} has an address that is not public")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Place(parts.scheme, parts.hostname, port, target, addresses[0])


def public(text: str) -> bool:
    """Whether an address is one of the Internet's, and nobody's inside."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    carried = any(address.version == net.version and address in net for net in _CARRIED)
    return address.is_global and not address.is_multicast and not address.is_reserved and not carried


def refused(why: str) -> Invalid:
    """The error of a URL that is not followed, or gives nothing."""
    return Invalid(f"the image could not be fetched: {why}", "uri")


def _connected(place: Place) -> socket.socket:
    """A connection to the very address that was looked at."""
    try:
        link = socket.create_connection((place.address, place.port), CONNECT_SECONDS)
        link.settimeout(STILL_SECONDS)
        if place.scheme == "https":
            link = ssl.create_default_context().wrap_socket(link, server_hostname=place.host)
    except OSError as error:
        raise refused(f"{place.host} cannot be reached ({type(error).__name__})") from error
    return link


def _asked(link: socket.socket, place: Place) -> http.client.HTTPResponse:
    client = http.client.HTTPConnection(place.host, place.port, timeout=STILL_SECONDS)
    client.sock = link
    try:
        client.request("GET", place.target, headers={"User-Agent": "andromede", "Accept-Encoding": "identity"})
        return client.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise refused(f"{place.host} gave no answer that could be read ({type(error).__name__})") from error
