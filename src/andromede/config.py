"""Settings: one TOML file (`DIR/andromede.toml`), overridden by `ANDROMEDE_<SECTION>_<KEY>` variables.

Every key has a type, a default and a line of documentation; unknown keys and bad values are all
reported at once. Secrets are never settings: they are files of mode 0600 that a setting names.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from andromede.errors import Invalid


def key(default: Any, doc: str) -> Any:
    """A documented setting."""
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Server:
    """Listeners and processes."""

    region: str = key("fr1", "name of this region, in the catalog and in S3 signatures")
    listen: str = key("127.0.0.1:8700", "HOST:PORT of the API port")
    objects: str = key("127.0.0.1:8701", "HOST:PORT of the object port (S3 at /, Swift at /v1)")
    object_workers: int = key(2, "processes that serve the object port")
    tls: bool = key(False, "serve both ports over TLS with the certificate in DIR/tls (made by a local CA if absent)")
    tls_certificate: str = key("", "path of a PEM certificate chain to use instead of the local CA's")
    tls_key: str = key("", "path of the PEM private key of tls_certificate")
    public_api_url: str = key("", "URL of the API port in the catalog, when a proxy stands before it")
    public_objects_url: str = key("", "URL of the object port in the catalog, when a proxy stands before it")
    log_level: str = key("info", "debug, info, warning or error")


@dataclass(frozen=True, slots=True)
class Storage:
    """The database and the blob engine."""

    database: str = key("", "DSN: sqlite:///path or postgresql://...; empty: DIR/andromede.db")
    engine: str = key("disk", "blob engine: disk or s3")
    s3_endpoint: str = key("", "engine s3: endpoint URL of the store that holds the encrypted blobs")
    s3_bucket: str = key("", "engine s3: bucket for the blobs")
    s3_region: str = key("us-east-1", "engine s3: region to sign for")
    s3_credentials: str = key("", "engine s3: path of a file with two lines, access key id and secret access key")
    s3_ca: str = key("", "engine s3: path of the CA certificate of the endpoint, if it is not a public one")


@dataclass(frozen=True, slots=True)
class Identity:
    """Keystone."""

    token_seconds: int = key(14400, "life of a token")
    lockout_failures: int = key(6, "failed passwords before a user is locked out; 0: never")
    lockout_seconds: int = key(1800, "how long a lock-out lasts")
    password_expires_days: int = key(0, "age at which passwords expire; 0: never")
    password_history: int = key(1, "how many former passwords may not come back")
    password_minimum_age_days: int = key(0, "age before a user may change the password again")
    password_regex: str = key("", "regular expression that new passwords must match; empty: any")
    password_regex_text: str = key("", "what to tell a user whose password does not match")


@dataclass(frozen=True, slots=True)
class Objects:
    """S3 and Swift."""

    s3_domains: tuple[str, ...] = key((), "host names under which <bucket>.<domain> addresses a bucket")
    website_domains: tuple[str, ...] = key((), "host names under which <bucket>.<domain> is a website")
    s3_sigv2: bool = key(False, "accept AWS signature version 2 (HMAC-SHA1), for old tools only")
    sse_c_plain_http: bool = key(False, "accept SSE-C keys over plain HTTP; for tests on loopback only")
    day_seconds: int = key(86400, "length of a lifecycle day; other values only with test_mode")
    test_mode: bool = key(False, "allow settings that only tests want")
    tempurl_sha1: bool = key(False, "accept SHA-1 signatures in temporary URLs")
    key_cache_seconds: int = key(60, "how long a plaintext key may stay in memory (at most 300)")
    read_audit_seconds: float = key(0.2, "longest delay before a read event is durable")
    garbage_grace_seconds: int = key(900, "age at which unreferenced bytes are removed")
    worker_seconds: int = key(5, "rhythm of the background worker")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The witnessed ledger."""

    checkpoint_seconds: float = key(1.0, "rhythm of checkpoints over each tenant's events")
    witness_seconds: float = key(5.0, "rhythm at which new checkpoints go to the witnesses")
    retention_days: int = key(365, "age at which the text of audit events is deleted (at least 183); proofs stay valid")
    private_witnesses: bool = key(False, "allow witnesses at private addresses")


@dataclass(frozen=True, slots=True)
class Hosting:
    """Virtual machines, networks and volumes."""

    enabled: str = key("auto", "on, off, or auto: on where this machine has the rights and the programs (see doctor)")
    accelerator: str = key("auto", "kvm, tcg (software emulation), or auto: kvm where a guest really boots with it")
    host: str = key("", "name of this hypervisor host; empty: the machine's host name")
    runtime: str = key("/run/andromede", "folder for sockets of guests; short, because socket paths end at 107 bytes")
    console: str = key("", "HOST:PORT where consoles are opened; empty: the host of server.listen and a free port")
    external_cidr: str = key("172.24.4.0/24", "IPv4 range of the network `public`, from which floating IPs come")
    external_gateway: str = key("", "gateway of external_cidr; empty: its first address, held by this machine")
    external_interface: str = key("", "network interface to join to the external bridge; empty: NAT by this machine")
    vcpu_ratio: float = key(0.0, "virtual CPUs per core; 0: 4.0 with kvm and 1.0 with tcg")
    reserved_memory_mb: int = key(1024, "memory of this machine that no guest gets, in MiB")
    guest_mtu: int = key(1450, "MTU of tenants' networks")
    images: tuple[str, ...] = key(("tiny",), "public images that are built at the first start")
    image_gb: int = key(100, "most GiB of one image")
    project_images_gb: int = key(200, "most GiB of all images of a project")
    image_cache: str = key("", "folder of the guest images that were built; empty: DIR/images-built")
    import_private_addresses: bool = key(False, "let images be imported from private addresses; for tests only")


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one installation."""

    data: Path
    server: Server = field(default_factory=Server)
    storage: Storage = field(default_factory=Storage)
    identity: Identity = field(default_factory=Identity)
    objects: Objects = field(default_factory=Objects)
    ledger: Ledger = field(default_factory=Ledger)
    hosting: Hosting = field(default_factory=Hosting)

    @property
    def database_dsn(self) -> str:
        """The database to open."""
        return self.storage.database or f"sqlite:///{self.data.absolute()}/andromede.db"


SECTIONS: dict[str, type[Any]] = {
    "server": Server,
    "storage": Storage,
    "identity": Identity,
    "objects": Objects,
    "ledger": Ledger,
    "hosting": Hosting,
}


_PASSWORDS = (
    re.compile(r"(?<=://)[^/\s@\"']+@"),
    re.compile(r"(?i)(?<=password=)('[^']*'|[^\s&'\"]+)"),
)


def without_passwords(text: str) -> str:
    """A text without what stands before the host of a URL, or behind `password=` (RFC 3986 3.2.1; libpq 34.1.1)."""
    return _PASSWORDS[1].sub("(redacted)", _PASSWORDS[0].sub("(redacted)@", text))


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """`$ANDROMEDE_DATA`, else `andromede` under the user's data directory (XDG base directories)."""
    if named := environment.get("ANDROMEDE_DATA"):
        return Path(named)
    base = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", ".")) / ".local" / "share")
    return Path(base) / "andromede"


def _convert(kind: Any, value: Any) -> Any:
    if kind is bool and isinstance(value, str):
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if value.lower() not in words:
            raise ValueError("is neither true nor false")
        return words[value.lower()]
    if kind in (int, float) and isinstance(value, str):
        return kind(value)
    if kind is float and type(value) is int:
        return float(value)
    if kind == tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError("must be a list of strings")
        return tuple(item.strip() for item in items if item.strip())
    if type(value) is not kind:
        raise ValueError(f"must be a {kind.__name__}")
    return value


def _section(name: str, given: Mapping[str, Any], environment: Mapping[str, str], problems: list[str]) -> Any:
    kind = SECTIONS[name]
    hints = get_type_hints(kind)
    raw = dict(given)
    for variable, value in environment.items():
        prefix = f"ANDROMEDE_{name.upper()}_"
        if variable.startswith(prefix):
            raw[variable.removeprefix(prefix).lower()] = value
    values = {}
    for word, value in raw.items():
        if word not in hints:
            problems.append(f"{name}.{word}: unknown setting (known: {', '.join(sorted(hints))})")
            continue
        try:
            values[word] = _convert(hints[word], value)
        except ValueError as error:
            problems.append(f"{name}.{word}: {value!r} {error}")
    return kind(**values)


def _contradictions(config: Config) -> list[str]:
    found = []
    if config.objects.day_seconds != 86400 and not config.objects.test_mode:
        found.append("objects.day_seconds: only test_mode may change the length of a day")
    if not 0 <= config.objects.key_cache_seconds <= 300:
        found.append("objects.key_cache_seconds: must be between 0 and 300")
    if not 0.05 <= config.ledger.checkpoint_seconds <= 3600:
        found.append("ledger.checkpoint_seconds: must be between 0.05 and 3600")
    if not 0.05 <= config.ledger.witness_seconds <= 86400:
        found.append("ledger.witness_seconds: must be between 0.05 and 86400")
    if config.ledger.retention_days < 183:
        found.append("ledger.retention_days: audit events are kept for at least 183 days")
    found += _of_hosting(config.hosting)
    if config.storage.engine not in ("disk", "s3"):
        found.append(f"storage.engine: {config.storage.engine!r} is neither disk nor s3")
    if config.storage.engine == "s3":
        wanted = ("s3_endpoint", "s3_bucket", "s3_credentials")
        found += [f"storage.{word}: needed by engine s3" for word in wanted if not getattr(config.storage, word)]
    if bool(config.server.tls_certificate) != bool(config.server.tls_key):
        found.append("server.tls_certificate and server.tls_key: give both or neither")
    for word, example in (("listen", 8700), ("objects", 8701)):
        host, colon, port = getattr(config.server, word).rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            found.append(
                f"server.{word}: {getattr(config.server, word)!r} is not HOST:PORT (as in 127.0.0.1:{example})"
            )
        elif host not in ("127.0.0.1", "::1", "[::1]", "localhost") and not config.server.tls:
            found.append(
                f"server.{word}: {host} is not a loopback address, and that needs server.tls = true (or --tls)"
            )
    return found


def _of_hosting(settings: Hosting) -> list[str]:
    import ipaddress  # costs more than all else here

    found = []
    if settings.enabled not in ("auto", "on", "off"):
        found.append(f"hosting.enabled: {settings.enabled!r} is none of on, off and auto")
    if settings.accelerator not in ("auto", "kvm", "tcg"):
        found.append(f"hosting.accelerator: {settings.accelerator!r} is none of auto, kvm and tcg")
    try:
        outside = ipaddress.IPv4Network(settings.external_cidr, strict=False)
    except ValueError:
        outside = None
    if outside is None or outside.prefixlen > 30:
        text = "is no IPv4 range of 4 addresses or more (as 172.24.4.0/24)"
        found.append(f"hosting.external_cidr: {settings.external_cidr!r} {text}")
    elif settings.external_gateway:
        try:
            inside = ipaddress.IPv4Address(settings.external_gateway) in outside
        except ValueError:
            inside = False
        if not inside:
            found.append(f"hosting.external_gateway: {settings.external_gateway!r} is no address of {outside}")
    port = settings.console.rpartition(":")[2]
    if settings.console and not (port.isdigit() and port != settings.console and int(port) <= 65535):
        found.append(f"hosting.console: {settings.console!r} is not HOST:PORT (as in 127.0.0.1:8702)")
    least = {"vcpu_ratio": 0, "reserved_memory_mb": 0, "guest_mtu": 576, "image_gb": 1, "project_images_gb": 1}
    small = {name: low for name, low in least.items() if getattr(settings, name) < low}
    return found + [f"hosting.{name}: must be at least {low}" for name, low in small.items()]


def load(
    data: Path, environment: Mapping[str, str] | None = None, overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> Config:
    """Read `data/andromede.toml` if it is there. Order: defaults, file, environment, `overrides`.

    Raises `Invalid` whose `detail["problems"]` lists every problem.
    """
    environment = os.environ if environment is None else environment
    path = data / "andromede.toml"
    problems: list[str] = []
    document: dict[str, Any] = {}
    if path.exists():
        try:
            document = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{path}: {error}")
    problems += [f"[{name}]: unknown section" for name in document if name not in SECTIONS]
    sections = {}
    for name in SECTIONS:
        part = document.get(name, {})
        merged = {**(part if isinstance(part, dict) else {}), **(overrides or {}).get(name, {})}
        hidden = set((overrides or {}).get(name, {}))
        seen = {
            k: v for k, v in environment.items() if k.removeprefix(f"ANDROMEDE_{name.upper()}_").lower() not in hidden
        }
        sections[name] = _section(name, merged, seen, problems)
    config = Config(data=data, **sections)
    problems += _contradictions(config)
    if problems:
        raise Invalid("the configuration has problems:\n  " + "\n  ".join(problems), "config", problems=problems)
    return config


def reference() -> list[tuple[str, str, Any, str]]:
    """(section.key, type, default, documentation) of every setting, for the generated reference."""
    rows = []
    for name, kind in SECTIONS.items():
        hints = get_type_hints(kind)
        blank = kind()
        for item in dataclasses.fields(kind):
            shown = getattr(hints[item.name], "__name__", str(hints[item.name]))
            rows.append((f"{name}.{item.name}", shown, getattr(blank, item.name), item.metadata["doc"]))
    return rows
