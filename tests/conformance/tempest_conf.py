"""Tempest's configuration, read off a running cloud: what its catalog, versions and extensions say is tested."""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hosted import Hosted
from tests.support.installation import Installation
from tests.support.keystone import Keystone

SERVICES = {"nova": "compute", "glance": "image", "neutron": "network", "cinder": "block-storage",
            "barbican": "key-manager", "load_balancer": "load-balancer"}  # fmt: skip
NOT_HERE = ("live_migration", "live_migration_back_and_forth", "block_migration_for_live_migration", "cold_migration")
"""What one host cannot do."""


@dataclass(slots=True)
class Conf:
    """A configuration being put together."""

    installation: Installation
    objects: bool = True
    hosted: Hosted | None = None
    validate: bool = True
    admin: Keystone = field(init=False)
    parser: configparser.RawConfigParser = field(default_factory=configparser.RawConfigParser)

    def __post_init__(self) -> None:
        self.admin = Keystone.admin(self.installation)

    @property
    def region(self) -> str:
        return str(self.installation.clouds["andromede"].get("region_name", "fr1"))

    def write(self, path: Path) -> None:
        self._identity()
        self._objects()
        types = {entry["type"] for entry in self.admin.catalog}
        present = {name: kind in types for name, kind in SERVICES.items()} if self.hosted else {}
        if self.hosted is not None:
            self._hosting(self.hosted)
        self.parser["service_available"] = {
            "swift": str(self.objects).lower(),
            "horizon": "false",
            **{name: str(present.get(name, False)).lower() for name in SERVICES},
        }
        with path.open("w", encoding="utf-8") as out:
            self.parser.write(out)

    def _identity(self) -> None:
        auth = self.installation.clouds["andromede-admin"]["auth"]
        settings = self.installation.settings
        self.parser["DEFAULT"] = {"log_dir": "logs", "log_file": "tempest.log"}
        self.parser["oslo_concurrency"] = {"lock_path": "tempest_lock"}
        self.parser["auth"] = {
            "use_dynamic_credentials": "true",
            "create_isolated_networks": str(self.hosted is not None).lower(),
            "admin_username": auth["username"],
            "admin_password": auth["password"],
            "admin_project_name": auth["project_name"],
            "admin_domain_name": auth.get("user_domain_name", "Default"),
        }
        self.parser["identity"] = {
            "uri_v3": f"{self.installation.identity_url}/v3",
            "region": self.region,
            "default_domain_id": "default",
            "user_lockout_failure_attempts": str(settings.get("identity.lockout_failures", 6)),
            "user_lockout_duration": str(settings.get("identity.lockout_seconds", 1800)),
            "user_unique_last_password_count": str(settings.get("identity.password_history", 1)),
        }
        if self.installation.ca:
            self.parser["identity"]["ca_certificates_file"] = self.installation.ca
        self.parser["identity-feature-enabled"] = {"security_compliance": "true"}

    def _objects(self) -> None:
        features: dict[str, Any] = {}
        if self.objects:
            where = self.admin.endpoint("object-store").partition("/v1")[0]
            features = self.admin.http.get(where + "/info").json()
        owner = {"operator_role": "member", "reseller_admin_role": "ResellerAdmin", "region": self.region}
        self.parser["object-storage"] = owner
        self.parser["object-storage-feature-enabled"] = {
            "discoverable_apis": ",".join(name for name in features if name != "swift"),
            "container_sync": str("container_sync" in features).lower(),
            "object_versioning": "true",
            "tempurl_digest_hashlib": "sha256",
        }

    def _hosting(self, hosted: Hosted) -> None:
        self.parser["compute"] = {
            "image_ref": hosted.image,
            "image_ref_alt": hosted.image_alt,
            "flavor_ref": hosted.flavor,
            "flavor_ref_alt": hosted.flavor_alt,
            "min_microversion": "2.1",
            "max_microversion": hosted.newest.get("compute", "2.1"),
            "build_timeout": "240",
            "build_interval": "1",
            "ready_wait": "0",
            "volume_device_name": "vdb",
            "min_compute_nodes": "1",
        }
        able = ("resize", "console_output", "snapshot", "interface_attach", "config_drive", "metadata_service",
                "pause", "suspend", "shelve", "rescue", "change_password", "vnc_console", "serial_console",
                "attach_encrypted_volume", "volume_multiattach", "swap_volume", "stable_rescue",
                "hostname_fqdn_sanitization", "personality")  # fmt: skip
        absent = {"change_password", "volume_multiattach", "swap_volume"}
        self.parser["compute-feature-enabled"] = {
            **{name: str(name not in absent).lower() for name in able},
            **dict.fromkeys(NOT_HERE, "false"),
        }
        self.parser["image"] = {
            "container_formats": "bare,ami,ari,aki,ovf,ova",
            "disk_formats": "raw,ami,ari,aki,qcow2,vhd,vmdk,vdi,iso,vhdx",
            "hashing_algorithm": "sha512",
            "http_image": f"{hosted.web}/small.img",
            "http_qcow2_image": f"{hosted.web}/{hosted.file.name}",
        }
        self.parser["image-feature-enabled"] = {
            "import_image": "true", "os_glance_reserved": "true",
            "image_format_enforcement": "false",  # data of another format is taken, then refused: the image is killed
        }  # fmt: skip
        self.parser["network"] = {
            "public_network_id": hosted.public_id,
            "floating_network_name": hosted.public_name,
            "project_network_cidr": "10.100.0.0/16",
            "project_network_mask_bits": "28",
            "project_networks_reachable": "false",
        }
        self.parser["network-feature-enabled"] = {
            "ipv6": "true",
            "ipv6_subnet_attributes": "true",
            "port_security": "true",
            "floating_ips": "true",
            "api_extensions": ",".join(hosted.extensions) or "all",
        }
        self.parser["volume"] = {
            "catalog_type": "block-storage",
            "min_microversion": "3.0",
            "max_microversion": hosted.newest.get("volume", "3.0"),
            "volume_size": "1",
            "build_timeout": "120",
            "disk_format": "raw,qcow2",
            "storage_protocol": "qcow2",
            "vendor_name": "Andromede",
        }
        self.parser["volume-feature-enabled"] = {
            "backup": "true",
            "snapshot": "true",
            "clone": "true",
            "enable_volume_image_dep_tests": "true",
            "extend_attached_volume": "true",
            "extend_attached_encrypted_volume": "true",
            "manage_volume": "false",
            "manage_snapshot": "false",
            "multi_backend": "false",
            "consistency_group": "false",
        }
        self.parser["validation"] = {
            "run_validation": str(self.validate).lower(),
            "connect_method": "floating",
            "auth_method": "keypair",
            "image_ssh_user": hosted.user,
            "image_ssh_password": "",
            "image_alt_ssh_user": hosted.user,
            "ssh_key_type": "ecdsa",
            "ssh_shell_prologue": "PATH=$$PATH:/sbin;",
            "ping_timeout": "120",
            "ssh_timeout": "180",
        }
        self.parser["scenario"] = {
            "img_file": str(hosted.file),
            "img_disk_format": "qcow2",
            "dhcp_client": "udhcpc",
            "target_dir": f"/home/{hosted.user}",
        }
        self._plugins(hosted)
        if newest := hosted.newest.get("placement"):
            self.parser["placement"] = {"min_microversion": "1.0", "max_microversion": newest}

    def _plugins(self, hosted: Hosted) -> None:
        """The key manager and load balancers, for their own plugins."""
        self.parser["enforce_scope"] = {"barbican": "true"}
        self.parser["key_manager"] = {
            "min_microversion": "1.0",
            "max_microversion": hosted.newest.get("key-manager", "1.0"),
            "region": self.region,
        }
        told = ",".join(f"{name}:{text}" for name, text in hosted.providers.items())
        self.parser["load_balancer"] = {
            "region": self.region,
            "RBAC_test_type": "keystone_default_roles",
            "enabled_provider_drivers": told,
            "build_interval": "0.5",
            "check_interval": "0.3",
            "lb_build_interval": "0.3",
            "check_timeout": "60",
            "lb_build_timeout": "120",
        }
        self.parser["loadbalancer-feature-enabled"] = {"prometheus_listener_enabled": "false"}
