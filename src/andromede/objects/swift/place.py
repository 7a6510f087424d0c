"""Where a request points: `/v1/AUTH_<project>[/container[/object]]` and its query."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from andromede.errors import Invalid, NotFound
from andromede.objects.manifests import ACCOUNT_PREFIX

MAX_CONTAINER = 256
MAX_KEY = 1024
MAX_PARAMETERS = 64
PARTS_CONTAINER = ".multipart"
"""Where the parts of an S3 multipart object seem to lie: a container that nobody can make, so that
clients which clean up segments by name never hit a live object."""


@dataclass(frozen=True, slots=True)
class Place:
    """A decoded path. `version` is `v1` or `v1.0`, as the client wrote it."""

    version: str
    account: str
    container: str | None = None
    key: str | None = None

    @property
    def level(self) -> str:
        """`account`, `container` or `object`."""
        if self.key is not None:
            return "object"
        return "container" if self.container is not None else "account"

    @property
    def project_id(self) -> str:
        """The project whose account this is; "" for an account outside our prefix, which nobody owns."""
        return self.account.removeprefix(ACCOUNT_PREFIX) if self.account.startswith(ACCOUNT_PREFIX) else ""

    @property
    def path(self) -> str:
        """The decoded path, as signatures cover it."""
        return "/" + "/".join(part for part in (self.version, self.account, self.container, self.key) if part)


def decode(raw: bytes) -> str:
    """Percent-decoded text. Raises `Invalid` (412) for bytes that are not UTF-8 and for NUL."""
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Invalid("the path is not valid UTF-8 or contains NUL; percent-encode UTF-8 text", "utf8")
    return text


def parse_path(raw: bytes) -> Place:
    """The place that a raw request path names. Raises `Invalid` for a path without account, `NotFound`
    for empty names between slashes."""
    parts = decode(raw).split("/", 4)
    if len(parts) < 3 or parts[0] or parts[1] not in ("v1", "v1.0"):
        raise Invalid("the path does not begin with /v1/<account>", "bad_url")
    account = parts[2]
    container = parts[3] if len(parts) > 3 else ""
    key = parts[4] if len(parts) > 4 else ""
    if not account or (key and not container):
        raise NotFound("the path has an empty account or container name", "path")
    return Place(parts[1], account, container or None, key or None)


def parse_query(raw: bytes) -> dict[str, str]:
    """Decoded parameters, the last of a name wins. Values that are not UTF-8 keep surrogates: `text` refuses them.
    Raises `Invalid` for more parameters than any request needs."""
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MAX_PARAMETERS:
        raise Invalid(f"more than {MAX_PARAMETERS} query parameters", "query")
    found = {}
    for pair in pairs:
        name, _, value = pair.replace(b"+", b" ").partition(b"=")
        key = unquote_to_bytes(name).decode("utf-8", "surrogateescape")
        found[key] = unquote_to_bytes(value).decode("utf-8", "surrogateescape")
    return found


def storable(name: str) -> bool:
    """Whether text can be a name: no NUL, no stand-ins for bytes that are not UTF-8."""
    return "\0" not in name and (name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name))


def text(params: dict[str, str], name: str) -> str:
    """A parameter that must be UTF-8 without NUL, "" when absent. Raises `Invalid`."""
    value = params.get(name, "")
    if not storable(value):
        raise Invalid(f'"{name}" parameter not valid UTF-8', "parameter")
    return value


def split_name(value: str, what: str) -> tuple[str, str]:
    """`container/object` of a header, percent-encoded, with or without a leading slash.

    Raises `Invalid` (412) when a part is missing or the text is not UTF-8."""
    name = decode(value.encode("latin-1", "replace")).lstrip("/")
    container, slash, key = name.partition("/")
    if not slash or not container or not key:
        raise Invalid(f"{what} header must be of the form <container name>/<object name>", "header_form")
    return container, key


def quoted(*parts: str) -> str:
    """Names joined by slashes and percent-encoded for a header or link."""
    return quote("/".join(parts))
