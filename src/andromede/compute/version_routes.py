"""Version documents (Compute API, "API versions") and the list of extensions of old."""

from __future__ import annotations

from typing import Any

from andromede.compute.dialect import VERSIONS
from andromede.compute.service import Compute
from andromede.errors import NotFound
from andromede.web.call import Call
from andromede.web.microversions import text
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
UPDATED = {"v2.0": "2011-01-21T11:33:21Z", "v2.1": "2013-07-23T11:33:21Z"}


def _document(call: ComputeCall, name: str) -> Body:
    current = name == "v2.1"
    return {
        "id": name,
        "status": "CURRENT" if current else "DEPRECATED",
        "version": text(VERSIONS.high) if current else "",
        "min_version": text(VERSIONS.low) if current else "",
        "updated": UPDATED[name],
        "links": [{"rel": "self", "href": f"{call.base}/{'v2.1' if current else 'v2'}/"}],
    }


def _wide(call: ComputeCall, name: str) -> Body:
    kind = "vnd.openstack.compute+json;version=" + ("2.1" if name == "v2.1" else "2")
    media = [{"base": "application/json", "type": f"application/{kind}"}]
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    document = _document(call, name)
    return {"version": {**document, "links": [*document["links"], described], "media-types": media}}


@routes.add("GET", "/", "compute:discover", public=True)
def list_versions(call: ComputeCall) -> Body:
    """The versions of this service."""
    return {"versions": [_document(call, "v2.0"), _document(call, "v2.1")]}


@routes.add("GET", "/v2.1", "compute:discover", public=True)
def show_current(call: ComputeCall) -> Body:
    """The version that everything here speaks, and its microversions."""
    return _wide(call, "v2.1")


@routes.add("GET", "/v2", "compute:discover", public=True)
def show_old(call: ComputeCall) -> Body:
    """The version of old, of which nothing is left but this document."""
    return _wide(call, "v2.0")


EXTENSIONS = (
    ("os-aggregates", "Aggregates"), ("os-attach-interfaces", "AttachInterfaces"),
    ("os-availability-zone", "AvailabilityZone"), ("os-block-device-mapping", "BlockDeviceMapping"),
    ("os-config-drive", "ConfigDrive"), ("os-console-output", "ConsoleOutput"), ("os-create-backup", "CreateBackup"),
    ("os-evacuate", "Evacuate"),
    ("os-extended-availability-zone", "ExtendedAvailabilityZone"),
    ("os-extended-server-attributes", "ExtendedServerAttributes"), ("os-extended-status", "ExtendedStatus"),
    ("os-extended-volumes", "ExtendedVolumes"), ("os-flavor-access", "FlavorAccess"),
    ("os-flavor-extra-specs", "FlavorExtraSpecs"), ("os-flavor-manage", "FlavorManage"),
    ("os-floating-ips", "FloatingIps"), ("os-hosts", "Hosts"), ("os-hypervisors", "Hypervisors"),
    ("os-instance-actions", "InstanceActions"), ("os-keypairs", "Keypairs"), ("os-lock-server", "LockServer"),
    ("os-migrate-server", "MigrateServer"), ("os-multiple-create", "MultipleCreate"), ("os-networks", "Networks"),
    ("os-pause-server", "PauseServer"), ("os-quota-class-sets", "QuotaClasses"), ("os-quota-sets", "Quotas"),
    ("os-consoles", "Consoles"),
    ("os-remote-consoles", "RemoteConsoles"), ("os-rescue", "Rescue"), ("os-scheduler-hints", "SchedulerHints"),
    ("os-security-groups", "SecurityGroups"), ("os-server-diagnostics", "ServerDiagnostics"),
    ("os-server-external-events", "ServerExternalEvents"), ("os-server-groups", "ServerGroups"),
    ("os-server-password", "ServerPassword"), ("os-server-usage", "ServerUsage"), ("os-services", "Services"),
    ("os-shelve", "Shelve"), ("os-simple-tenant-usage", "SimpleTenantUsage"), ("os-suspend-server", "SuspendServer"),
    ("os-tenant-networks", "TenantNetworks"), ("os-user-data", "UserData"), ("os-volumes", "Volumes"),
    ("OS-DCF", "DiskConfig"), ("OS-EXT-IPS", "ExtendedIps"), ("OS-EXT-IPS-MAC", "ExtendedIpsMac"),
    ("OS-FLV-DISABLED", "FlavorDisabled"), ("OS-FLV-EXT-DATA", "FlavorExtraData"), ("OS-SCH-HNT", "SchedulerHints"),
    ("flavors", "Flavors"), ("image-metadata", "ImageMetadata"), ("image-size", "ImageSize"), ("images", "Images"),
    ("ips", "Ips"), ("limits", "Limits"), ("server-metadata", "ServerMetadata"), ("servers", "Servers"),
    ("versions", "Versions"),
)  # fmt: skip


def _extension(alias: str, name: str) -> Body:
    return {
        "alias": alias,
        "name": name,
        "description": f"{name}, as in the Compute API",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
        "links": [],
    }


@routes.add("GET", "/v2.1/extensions", "compute:list_extensions")
def list_extensions(call: ComputeCall) -> Body:
    """What is offered, in the words of times before microversions."""
    return {"extensions": [_extension(alias, name) for alias, name in EXTENSIONS]}


@routes.add("GET", "/v2.1/extensions/{alias}", "compute:show_extension")
def show_extension(call: ComputeCall) -> Body:
    """One of them."""
    for alias, name in EXTENSIONS:
        if alias == call.params["alias"]:
            return {"extension": _extension(alias, name)}
    raise NotFound(f"No extension has the alias {call.params['alias']}.", "extension")
