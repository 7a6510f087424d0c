"""What a guest may read at 169.254.169.254: the OpenStack form and the EC2 form of the same facts (Nova, user guide,
"Metadata service").

Whose facts they are is decided by where the connection came in and from which address, never by what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
)  # fmt: skip
"""Of the OpenStack form."""
SINCE = {
    "meta_data.json": "2012-08-10",
    "user_data": "2012-08-10",
    "password": "2013-04-04",
    "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15",
    "vendor_data2.json": "2016-10-06",
}
EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip
MOST_PASSWORD = 1020
"""Bytes: four pieces of metadata hold it in Nova."""


class Documents(Protocol):
    """The facts of one server."""

    @property
    def user_data(self) -> bytes | None: ...

    def openstack(self, name: str) -> bytes | None:
        """A document of the OpenStack form (`meta_data.json`); None for what there is not."""

    def content(self, name: str) -> bytes | None:
        """An injected file by its number (`0000`)."""

    def meta(self, path: str) -> str | None:
        """The EC2 form below `meta-data/`: a text or a listing; None for what there is not."""


class Guests(Protocol):
    """Who knows servers by their ports."""

    def documents(self, port_id: str) -> Documents | None:
        """The facts of the server that has this port, None without one."""

    def keep_password(self, port_id: str, text: str) -> bool:
        """What the server wants kept as its password, sealed for its owner; whether it was the first and was kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of HTTP."""

    status: int
    body: bytes = b""
    type: str = "text/plain; charset=utf-8"


NOT_FOUND = Answer(404, b"there is no such metadata\n")
_JSON, _BYTES = "application/json", "application/octet-stream"


def answer(documents: Documents, path: str) -> Answer:
    """The answer to a GET of a path, without its query."""
    words = [word for word in path.split("/") if word]
    if not words:
        return _lines(*EC2_VERSIONS)
    if words[0] == "openstack":
        return _openstack(documents, words[1:])
    if words[0] not in EC2_VERSIONS:
        return NOT_FOUND
    return _ec2(documents, words[1:], path.endswith("/"))


def _lines(*texts: str) -> Answer:
    return Answer(200, "\n".join(texts).encode())


def _openstack(documents: Documents, words: list[str]) -> Answer:
    if not words:
        return _lines(*VERSIONS)
    if words[0] == "content" and len(words) == 2:
        return _found(documents.content(words[1]), _BYTES)
    if words[0] not in VERSIONS or len(words) > 2:
        return NOT_FOUND
    names = [name for name, since in SINCE.items() if since <= words[0]]  # "latest" comes after every year
    if len(words) == 1:
        there = [name for name in names if name != "user_data" or documents.user_data is not None]
        return _lines(*there)
    name = words[1]
    if name not in names:
        return NOT_FOUND
    kind = _JSON if name.endswith(".json") else _BYTES if name == "user_data" else "text/plain; charset=utf-8"
    return _found(documents.openstack(name), kind)


def _found(body: bytes | None, kind: str) -> Answer:
    return NOT_FOUND if body is None else Answer(200, body, kind)


def _ec2(documents: Documents, words: list[str], listing: bool) -> Answer:
    if not words:
        return _lines("meta-data/", *(["user-data"] if documents.user_data is not None else []))
    if words == ["user-data"]:
        return _found(documents.user_data, _BYTES)
    if words[0] != "meta-data":
        return NOT_FOUND
    path = "/".join(words[1:]) + ("/" if listing and len(words) > 1 else "")
    text = documents.meta(path)
    return NOT_FOUND if text is None else _lines(text)


def keep_password(guests: Guests, port_id: str, body: bytes) -> Answer:
    """The answer to a POST of a password."""
    if len(body) > MOST_PASSWORD:
        return Answer(400, b"the password is longer than 1020 bytes\n")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Answer(400, b"the password is not UTF-8\n")
    if not guests.keep_password(port_id, text):
        return Answer(409, b"the password was set before and stays\n")
    return Answer(200)


def takes_password(path: str) -> bool:
    """Whether a path is one that a password is sent to."""
    words = [word for word in path.split("/") if word]
    return len(words) == 3 and words[0] == "openstack" and words[1] in VERSIONS and words[2] == "password"
