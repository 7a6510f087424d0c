"""The schema of the network service."""

from __future__ import annotations

from andromede.db import Migration
from andromede.work.lifecycle import COLUMNS

_STANDARD = """
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  description {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  revision {int} NOT NULL,"""

_LAYER_2 = f"""
CREATE TABLE network_network ({_STANDARD}
  admin_state_up {{int}} NOT NULL,
  status {{text}} NOT NULL,
  external {{int}} NOT NULL,
  is_default {{int}} NOT NULL,
  mtu {{int}} NOT NULL,
  port_security_enabled {{int}} NOT NULL,
  network_type {{text}} NOT NULL,
  physical_network {{text}} NOT NULL,
  segment {{int}} NOT NULL,
  dns_domain {{text}} NOT NULL,
  zone_hints {{text}} NOT NULL
) {{norowid}};
CREATE INDEX network_network_project ON network_network (project_id, name);
CREATE INDEX network_network_external ON network_network (external);
CREATE TABLE network_subnet ({_STANDARD}
  network_id {{text}} NOT NULL REFERENCES network_network (id),
  ip_version {{int}} NOT NULL,
  cidr {{text}} NOT NULL,
  gateway_ip {{text}} NOT NULL,
  enable_dhcp {{int}} NOT NULL,
  ra_mode {{text}} NOT NULL,
  address_mode {{text}} NOT NULL,
  subnetpool_id {{text}} NOT NULL,
  pools {{text}} NOT NULL,
  dns_nameservers {{text}} NOT NULL,
  host_routes {{text}} NOT NULL,
  service_types {{text}} NOT NULL,
  dns_publish_fixed_ip {{int}} NOT NULL
) {{norowid}};
CREATE INDEX network_subnet_network ON network_subnet (network_id);
CREATE INDEX network_subnet_project ON network_subnet (project_id, name);
CREATE TABLE network_port ({_STANDARD}
  network_id {{text}} NOT NULL REFERENCES network_network (id),
  mac_address {{text}} NOT NULL,
  admin_state_up {{int}} NOT NULL,
  status {{text}} NOT NULL,
  device_id {{text}} NOT NULL,
  device_owner {{text}} NOT NULL,
  host {{text}} NOT NULL,
  vnic_type {{text}} NOT NULL,
  profile {{text}} NOT NULL,
  port_security_enabled {{int}} NOT NULL,
  pairs {{text}} NOT NULL,
  dhcp_opts {{text}} NOT NULL,
  dns_name {{text}} NOT NULL,
  generation {{int}} NOT NULL,
  uid {{int}} NOT NULL,
  fault {{text}} NOT NULL,
  UNIQUE (network_id, mac_address)
) {{norowid}};
CREATE INDEX network_port_device ON network_port (device_id);
CREATE INDEX network_port_project ON network_port (project_id, name);
CREATE TABLE network_address (
  subnet_id {{text}} NOT NULL REFERENCES network_subnet (id),
  address {{text}} NOT NULL,
  port_id {{text}} NOT NULL REFERENCES network_port (id),
  network_id {{text}} NOT NULL,
  position {{int}} NOT NULL,
  PRIMARY KEY (subnet_id, address)
) {{norowid}};
CREATE INDEX network_address_port ON network_address (port_id);
"""

_LAYER_3 = f"""
CREATE TABLE network_router ({_STANDARD}
  admin_state_up {{int}} NOT NULL,
  status {{text}} NOT NULL,
  gateway_network {{text}} NOT NULL,
  gateway_port {{text}} NOT NULL,
  enable_snat {{int}} NOT NULL,
  routes {{text}} NOT NULL,
  zone_hints {{text}} NOT NULL,
  fault {{text}} NOT NULL
) {{norowid}};
CREATE INDEX network_router_project ON network_router (project_id, name);
CREATE INDEX network_router_gateway ON network_router (gateway_network);
CREATE TABLE network_floating ({_STANDARD}
  floating_network_id {{text}} NOT NULL,
  address {{text}} NOT NULL,
  own_port {{text}} NOT NULL,
  port_id {{text}} NOT NULL,
  fixed_ip {{text}} NOT NULL,
  router_id {{text}} NOT NULL,
  status {{text}} NOT NULL,
  generation {{int}} NOT NULL,
  dns_name {{text}} NOT NULL,
  dns_domain {{text}} NOT NULL,
  UNIQUE (floating_network_id, address)
) {{norowid}};
CREATE INDEX network_floating_port ON network_floating (port_id);
CREATE INDEX network_floating_router ON network_floating (router_id);
CREATE INDEX network_floating_project ON network_floating (project_id);
CREATE TABLE network_forwarding ({_STANDARD}
  floating_id {{text}} NOT NULL REFERENCES network_floating (id),
  port_id {{text}} NOT NULL,
  address {{text}} NOT NULL,
  protocol {{text}} NOT NULL,
  outer_first {{int}} NOT NULL,
  outer_last {{int}} NOT NULL,
  inner_first {{int}} NOT NULL,
  inner_last {{int}} NOT NULL
) {{norowid}};
CREATE INDEX network_forwarding_floating ON network_forwarding (floating_id);
CREATE INDEX network_forwarding_port ON network_forwarding (port_id);
"""

_MATCH = """
  direction {text} NOT NULL,
  ethertype {text} NOT NULL,
  protocol {text},
  low {int},
  high {int},
  prefix {text},
  remote_group {text},
  remote_addresses {text},"""

_GROUPS = f"""
CREATE TABLE network_group ({_STANDARD}
  stateful {{int}} NOT NULL,
  is_default {{int}} NOT NULL
) {{norowid}};
CREATE INDEX network_group_project ON network_group (project_id, name);
CREATE UNIQUE INDEX network_group_default ON network_group (project_id) WHERE is_default = 1;
CREATE TABLE network_rule ({_STANDARD}
  group_id {{text}} NOT NULL REFERENCES network_group (id),{_MATCH}
  digest {{text}} NOT NULL,
  UNIQUE (group_id, digest)
) {{norowid}};
CREATE INDEX network_rule_project ON network_rule (project_id);
CREATE INDEX network_rule_remote ON network_rule (remote_group);
CREATE INDEX network_rule_addresses ON network_rule (remote_addresses);
CREATE TABLE network_default_rule ({_STANDARD}{_MATCH}
  in_default {{int}} NOT NULL,
  in_others {{int}} NOT NULL
) {{norowid}};
CREATE TABLE network_port_group (
  port_id {{text}} NOT NULL REFERENCES network_port (id),
  group_id {{text}} NOT NULL REFERENCES network_group (id),
  PRIMARY KEY (port_id, group_id)
) {{norowid}};
CREATE INDEX network_port_group_group ON network_port_group (group_id);
CREATE TABLE network_address_group ({_STANDARD}
  addresses {{text}} NOT NULL
) {{norowid}};
"""

_REST = f"""
CREATE TABLE network_pool ({_STANDARD}
  prefixes {{text}} NOT NULL,
  ip_version {{int}} NOT NULL,
  default_prefixlen {{int}} NOT NULL,
  min_prefixlen {{int}} NOT NULL,
  max_prefixlen {{int}} NOT NULL,
  address_scope_id {{text}} NOT NULL,
  is_default {{int}} NOT NULL,
  shared {{int}} NOT NULL,
  default_quota {{int}}
) {{norowid}};
CREATE TABLE network_scope ({_STANDARD}
  ip_version {{int}} NOT NULL,
  shared {{int}} NOT NULL
) {{norowid}};
CREATE TABLE network_rbac ({_STANDARD}
  object_type {{text}} NOT NULL,
  object_id {{text}} NOT NULL,
  action {{text}} NOT NULL,
  target_tenant {{text}} NOT NULL,
  UNIQUE (object_id, action, target_tenant)
) {{norowid}};
CREATE TABLE network_quota (
  project_id {{text}} NOT NULL,
  resource {{text}} NOT NULL,
  amount {{int}} NOT NULL,
  PRIMARY KEY (project_id, resource)
) {{norowid}};
CREATE TABLE network_tag (
  object_id {{text}} NOT NULL,
  tag {{text}} NOT NULL,
  PRIMARY KEY (object_id, tag)
) {{norowid}};
CREATE INDEX network_tag_tag ON network_tag (tag);
CREATE TABLE network_part (
  id {{text}} PRIMARY KEY,
  project_id {{text}} NOT NULL,
  kind {{text}} NOT NULL,
  wished {{int}} NOT NULL,
  loaded {{int}} NOT NULL,{COLUMNS}
) {{norowid}};
CREATE INDEX network_part_due ON network_part (due_us);
CREATE TABLE network_host (
  host {{text}} PRIMARY KEY,
  started_us {{int}} NOT NULL,
  seen_us {{int}} NOT NULL
) {{norowid}};
"""

_COLUMNS = (
    "id, project_id, name, description, created_us, updated_us, revision, direction, ethertype, protocol, low, high, "
    "prefix, remote_group, remote_addresses, in_default, in_others"
)
_DEFAULT_RULES = "".join(
    f"INSERT INTO network_default_rule ({_COLUMNS}) VALUES ('5f0e1d2c-0000-4000-8000-00000000000{number}', '', '', "
    f"'{text}', 0, 0, 0, '{direction}', '{ethertype}', NULL, NULL, NULL, NULL, {remote}, NULL, 1, {others});\n"
    for number, (direction, ethertype, remote, others, text) in enumerate(
        (
            ("egress", "IPv4", "NULL", 1, "Everything may leave"),
            ("egress", "IPv6", "NULL", 1, "Everything may leave"),
            ("ingress", "IPv4", "'PARENT'", 0, "Members reach each other"),
            ("ingress", "IPv6", "'PARENT'", 0, "Members reach each other"),
        ),
        1,
    )
)
"""What new security groups let through, until an administrator says otherwise (SCS-0115)."""

_SHIFTS = """
CREATE TABLE network_shift (
  part_id {text} NOT NULL,
  generation {int} NOT NULL,
  port_id {text} NOT NULL,
  members {text} NOT NULL,
  PRIMARY KEY (part_id, generation, port_id)
) {norowid};
CREATE INDEX network_port_owner ON network_port (network_id, device_owner);
CREATE INDEX network_port_host ON network_port (network_id, host);
CREATE INDEX network_port_pairs ON network_port (network_id) WHERE pairs <> '[]';
ALTER TABLE network_port_group ADD COLUMN network_id {text} NOT NULL DEFAULT '';
UPDATE network_port_group SET network_id =
  (SELECT p.network_id FROM network_port p WHERE p.id = network_port_group.port_id);
CREATE INDEX network_port_group_network ON network_port_group (group_id, network_id);
CREATE TABLE network_count (
  project_id {text} PRIMARY KEY,
  ports {int} NOT NULL
) {norowid};
INSERT INTO network_count (project_id, ports) SELECT project_id, count(*) FROM network_port GROUP BY project_id;
"""
"""`network_shift`: which port a generation of a network differs by, and which members of security groups may have come
or gone with it; generations without a row differ in more. `network_count`: how many ports projects have."""

MIGRATIONS = (
    Migration(
        "network", 1, "networks, routers, security groups", _LAYER_2 + _LAYER_3 + _GROUPS + _REST + _DEFAULT_RULES
    ),
    Migration("network", 2, "changes of single ports", _SHIFTS),
)
