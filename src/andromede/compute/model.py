"""The rows of the compute service: servers and what hangs on them. Sizes in the units of their names, times in
microseconds UTC, 0 or "" for "none" where a column cannot be null."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from andromede.work.lifecycle import Work


class State(StrEnum):
    """Where a server stands: the one column. What Nova shows (vm_state, task_state, power_state, status) is derived
    from it in `states`. The comment names whether a worker is at it, and what `before` or `wish` mean then."""

    SCHEDULING = "scheduling"  # working: capacity is claimed already (`host`), nothing exists yet
    NETWORKING = "networking"  # working: ports of the nics are made and bound
    MAPPING = "block_device_mapping"  # working: volumes and disks are made
    SPAWNING = "spawning"  # working: the guest is started
    ACTIVE = "active"  # rest
    STOPPING = "stopping"  # working
    STOPPED = "stopped"  # rest
    STARTING = "starting"  # working
    REBOOTING = "rebooting"  # working, soft
    HARD_REBOOTING = "hard_rebooting"  # working; the cure for error, too
    PAUSING = "pausing"  # working
    PAUSED = "paused"  # rest
    UNPAUSING = "unpausing"  # working
    SUSPENDING = "suspending"  # working
    SUSPENDED = "suspended"  # rest
    RESUMING = "resuming"  # working
    RESCUING = "rescuing"  # working; wish: image_id (or absent: its own), password
    RESCUED = "rescued"  # rest
    UNRESCUING = "unrescuing"  # working, ends active
    RESIZING = "resizing"  # working; before: active|stopped; wish: flavor (snapshot of the new one)
    VERIFY_RESIZE = "verify_resize"  # rest; old_flavor is the former one; before says whether the guest ran
    CONFIRMING = "confirming"  # working, ends in `before`
    REVERTING = "reverting"  # working, ends in `before`
    REBUILDING = "rebuilding"  # working, ends in `before`; the row holds the new image already
    SHELVING = "shelving"  # working: stop, make the image (wish: image_id, name)
    SHELVED = "shelved"  # rest; nothing is offloaded yet
    OFFLOADING = "offloading"  # working: root and claim go
    OFFLOADED = "shelved_offloaded"  # rest; wish keeps image_id of the shelved root
    UNSHELVING = "unshelving"  # working, ends active; capacity is claimed again already
    CRASHING = "crashing"  # working: the guest gets an interrupt that it cannot mask; ends in `before`
    SNAPSHOTTING = "snapshotting"  # working, ends in `before`; wish: image_id, `task` tells how far
    DELETING = "deleting"  # working; reached from every state by the signal `delete`
    DELETED = "deleted"  # rest for good: the row is kept for a while for lists of deleted servers and usage
    ERROR = "error"  # rest; fault says why


class DeviceState(StrEnum):
    """Where a disk or nic of a server stands. `wished` rows belong to the steps of the server itself."""

    WISHED = "wished"  # rest: to be made by the server's steps
    ATTACHING = "attaching"  # working: hot plug
    ATTACHED = "attached"  # rest
    DETACHING = "detaching"  # working: hot unplug
    DETACHED = "detached"  # the row is removed
    ERROR = "error"  # rest: an attach that failed; the volume is free again


class Power(StrEnum):
    """What the hypervisor says. `NUMBERS` of `states` has Nova's figures."""

    NONE = "none"
    RUNNING = "running"
    PAUSED = "paused"
    OFF = "off"
    CRASHED = "crashed"
    SUSPENDED = "suspended"


SERVER = "compute_server"
DEVICE = "compute_device"
"""Names of the tables, for `lifecycle.begin` and `lifecycle.signal`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Work):
    """A server. `flavor`, `old_flavor`: snapshots (`id name vcpus ram disk ephemeral swap rxtx_factor extra_specs
    description`, sizes MiB and GiB as in Nova). `image`: the image's facts at creation
    (`disk_format container_format min_disk properties`). `networks`: "auto", "none" or "list": the nics are devices.
    `before`: the state at rest to which the present work returns; `wish`: its arguments; `task`: Nova's task_state
    where the state has several."""

    id: str
    project_id: str
    user_id: str
    name: str
    description: str | None = None
    hostname: str = ""
    before: str = ""
    task: str = ""
    wish: dict[str, Any] = field(default_factory=dict)
    power: str = "none"
    host: str = ""
    guest: dict[str, Any] = field(default_factory=dict)
    """What the steps remember from one phase to the next: how far they are, disks that stand beside the root."""
    flavor: dict[str, Any] = field(default_factory=dict)
    old_flavor: dict[str, Any] = field(default_factory=dict)
    image_id: str = ""
    image: dict[str, Any] = field(default_factory=dict)
    root_disk_id: str = ""
    root_gb: int = 0
    boot_volume_id: str = ""
    root_device_name: str = "/dev/vda"
    key_name: str = ""
    public_key: str = ""
    key_type: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    user_data: str = ""
    """As sent: base64."""
    personality: list[Any] = field(default_factory=list)
    """Files for the config drive: `{"path", "contents" (base64)}`."""
    config_drive: bool = False
    admin_pass: str = ""
    """A password that rescue or rebuild set, for the guest's metadata; nobody else reads it."""
    guest_password: str = ""
    """What the guest wants kept for its owner, as a rule sealed for the owner's key; set once."""
    availability_zone: str = ""
    networks: str = "list"
    security_groups: list[Any] = field(default_factory=list)
    """Ids of the security groups for ports that are made for this server."""
    group_id: str = ""
    reservation_id: str = ""
    launch_index: int = 0
    locked: bool = False
    locked_by: str = ""
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    disk_config: str = "MANUAL"
    progress: int = 0
    created_us: int = 0
    updated_us: int = 0
    launched_us: int = 0
    terminated_us: int = 0
    vcpus: int = 0
    ram_mb: int = 0
    """Of the flavor (during a resize of the larger one), for quotas."""


FORMS = ("ext4", "ext3", "ext2", "swap")
"""What a blank disk of a server's own may be formatted as; the first without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Work):
    """A disk or a nic of a server. Of disks: `source` image|volume|snapshot|blank with its `source_id`, `target`
    local|volume; `disk_id` is the BlockEngine's id (of a volume: the volume's). Of nics: `network_id`, `port_id` and
    `wish` (`fixed_ip`). `made`: we made the port or volume, and it goes with the server unless `keep`.
    `bus`/`slot`: where the engine put it; `boot_index`: -1 never, 0 root."""

    id: str
    project_id: str
    server_id: str
    kind: str
    """`disk` or `nic`."""
    position: int = 0
    source: str = ""
    source_id: str = ""
    target: str = ""
    disk_id: str = ""
    volume_id: str = ""
    volume_type: str = ""
    size_gb: int = 0
    boot_index: int = -1
    guest_format: str = ""
    network_id: str = ""
    port_id: str = ""
    mac: str = ""
    made: bool = False
    delete_on_termination: bool = False
    device_name: str = ""
    tag: str = ""
    bus: str = ""
    slot: str = ""
    wish: dict[str, Any] = field(default_factory=dict)
    created_us: int = 0


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a server."""

    server_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wished of a server: `request_id` is the X-Compute-Request-Id of the request."""

    server_id: str
    request_id: str
    project_id: str
    user_id: str
    action: str
    start_us: int
    updated_us: int
    finish_us: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class ActionEvent:
    """What a worker did for it. `result`: "" while it runs, then Success or Error with the cause in `detail`."""

    server_id: str
    request_id: str
    position: int
    event: str
    start_us: int
    finish_us: int = 0
    result: str = ""
    detail: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Keypair:
    """A public key of a user. `type`: ssh or x509."""

    user_id: str
    name: str
    number: int
    type: str
    fingerprint: str
    public_key: str
    created_us: int


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of server: memory and swap in MiB, disks in GiB."""

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int
    ephemeral: int
    swap: int
    rxtx_factor: str
    public: bool
    disabled: bool
    description: str | None
    extra_specs: dict[str, Any]
    created_us: int

    def snapshot(self) -> dict[str, Any]:
        """What a server keeps of its flavor."""
        return {
            "id": self.id,
            "name": self.name,
            "vcpus": self.vcpus,
            "ram": self.ram,
            "disk": self.disk,
            "ephemeral": self.ephemeral,
            "swap": self.swap,
            "rxtx_factor": self.rxtx_factor,
            "extra_specs": self.extra_specs,
        }


@dataclass(frozen=True, slots=True)
class FlavorAccess:
    """A project that may use a flavor that is not public."""

    flavor_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """Servers that belong together; its members are the servers with its id. `policy`: affinity, anti-affinity and
    their soft forms."""

    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    rules: dict[str, Any]
    created_us: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit that somebody set: of a project, of a user in it, or of the class `default` (scope "class"). -1: none."""

    scope: str
    project_id: str
    user_id: str
    resource: str
    hard_limit: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A named set of hosts, which may be an availability zone."""

    id: int
    uuid: str
    name: str
    availability_zone: str
    metadata: dict[str, Any]
    hosts: list[Any]
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor host and its service nova-compute: `id` is the hypervisor's and the resource provider's UUID,
    `service_id` the service's. `overhead_mb`: what a guest costs beside its memory. `seen_us`: its last sign of
    life."""

    id: str
    number: int
    service_id: str
    name: str
    address: str
    kind: str
    version: int
    cpu: dict[str, Any]
    vcpus: int
    memory_mb: int
    disk_gb: int
    overhead_mb: int
    enabled: bool
    disabled_reason: str
    forced_down: bool
    created_us: int
    updated_us: int
    seen_us: int
    report: int
    booted_us: int = 0

    @property
    def mark(self) -> str:
        """Its number as text, for lists before 2.53."""
        return str(self.number)


@dataclass(frozen=True, slots=True)
class ConsoleToken:
    """The right to open a console once: `token_hash` is the SHA-256 of the token; `kind` novnc, serial, spice..."""

    token_hash: str
    server_id: str
    project_id: str
    user_id: str
    kind: str
    created_us: int
    expires_us: int
    used: bool
