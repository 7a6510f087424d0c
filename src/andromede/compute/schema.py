"""Tables of the compute domain and of capacity, which Placement shows."""

from __future__ import annotations

from andromede.db import Migration
from andromede.work.lifecycle import COLUMNS

_SERVERS = (
    """
CREATE TABLE compute_server (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  name {text} NOT NULL,
  description {text},
  hostname {text} NOT NULL,
  before {text} NOT NULL,
  task {text} NOT NULL,
  wish {text} NOT NULL,
  power {text} NOT NULL,
  host {text} NOT NULL,
  uid {int} NOT NULL,
  pid {int} NOT NULL,
  pid_start {int} NOT NULL,
  boot_id {text} NOT NULL,
  guest {text} NOT NULL,
  flavor {text} NOT NULL,
  old_flavor {text} NOT NULL,
  image_id {text} NOT NULL,
  image {text} NOT NULL,
  root_disk_id {text} NOT NULL,
  root_gb {int} NOT NULL,
  boot_volume_id {text} NOT NULL,
  root_device_name {text} NOT NULL,
  key_name {text} NOT NULL,
  public_key {text} NOT NULL,
  key_type {text} NOT NULL,
  metadata {text} NOT NULL,
  user_data {text} NOT NULL,
  personality {text} NOT NULL,
  config_drive {int} NOT NULL,
  admin_pass {text} NOT NULL,
  availability_zone {text} NOT NULL,
  networks {text} NOT NULL,
  security_groups {text} NOT NULL,
  group_id {text} NOT NULL,
  hints {text} NOT NULL,
  reservation_id {text} NOT NULL,
  launch_index {int} NOT NULL,
  locked {int} NOT NULL,
  locked_by {text} NOT NULL,
  locked_reason {text} NOT NULL,
  access_ip_v4 {text} NOT NULL,
  access_ip_v6 {text} NOT NULL,
  disk_config {text} NOT NULL,
  progress {int} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  launched_us {int} NOT NULL,
  terminated_us {int} NOT NULL,
  vcpus {int} NOT NULL,
  ram_mb {int} NOT NULL,"""
    + COLUMNS
    + """
);
CREATE INDEX compute_server_due ON compute_server (due_us);
CREATE INDEX compute_server_project ON compute_server (project_id, created_us, id);
CREATE INDEX compute_server_host ON compute_server (host);
CREATE INDEX compute_server_group ON compute_server (group_id);
CREATE TABLE compute_device (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  server_id {text} NOT NULL,
  kind {text} NOT NULL,
  position {int} NOT NULL,
  source {text} NOT NULL,
  source_id {text} NOT NULL,
  target {text} NOT NULL,
  disk_id {text} NOT NULL,
  volume_id {text} NOT NULL,
  attachment_id {text} NOT NULL,
  volume_type {text} NOT NULL,
  size_gb {int} NOT NULL,
  boot_index {int} NOT NULL,
  guest_format {text} NOT NULL,
  network_id {text} NOT NULL,
  port_id {text} NOT NULL,
  mac {text} NOT NULL,
  made {int} NOT NULL,
  delete_on_termination {int} NOT NULL,
  device_name {text} NOT NULL,
  tag {text} NOT NULL,
  bus {text} NOT NULL,
  slot {text} NOT NULL,
  wish {text} NOT NULL,
  created_us {int} NOT NULL,"""
    + COLUMNS
    + """
);
CREATE INDEX compute_device_due ON compute_device (due_us);
CREATE INDEX compute_device_server ON compute_device (server_id, position);
CREATE INDEX compute_device_volume ON compute_device (volume_id);
CREATE INDEX compute_device_port ON compute_device (port_id);
CREATE TABLE compute_tag (server_id {text} NOT NULL, name {text} NOT NULL, PRIMARY KEY (server_id, name));
CREATE INDEX compute_tag_name ON compute_tag (name);
CREATE TABLE compute_action (
  server_id {text} NOT NULL,
  request_id {text} NOT NULL,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  action {text} NOT NULL,
  start_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  finish_us {int} NOT NULL,
  message {text} NOT NULL,
  PRIMARY KEY (server_id, request_id)
);
CREATE TABLE compute_action_event (
  server_id {text} NOT NULL,
  request_id {text} NOT NULL,
  position {int} NOT NULL,
  event {text} NOT NULL,
  start_us {int} NOT NULL,
  finish_us {int} NOT NULL,
  result {text} NOT NULL,
  detail {text} NOT NULL,
  host {text} NOT NULL,
  PRIMARY KEY (server_id, request_id, position)
);
CREATE TABLE compute_console (
  token_hash {text} PRIMARY KEY,
  server_id {text} NOT NULL,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  kind {text} NOT NULL,
  created_us {int} NOT NULL,
  expires_us {int} NOT NULL,
  used {int} NOT NULL
);
CREATE INDEX compute_console_server ON compute_console (server_id);
"""
)

_BOOKS = """
CREATE TABLE compute_keypair (
  user_id {text} NOT NULL,
  name {text} NOT NULL,
  number {int} NOT NULL,
  type {text} NOT NULL,
  fingerprint {text} NOT NULL,
  public_key {text} NOT NULL,
  created_us {int} NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE TABLE compute_flavor (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  vcpus {int} NOT NULL,
  ram {int} NOT NULL,
  disk {int} NOT NULL,
  ephemeral {int} NOT NULL,
  swap {int} NOT NULL,
  rxtx_factor {text} NOT NULL,
  public {int} NOT NULL,
  disabled {int} NOT NULL,
  description {text},
  extra_specs {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE UNIQUE INDEX compute_flavor_name ON compute_flavor (name);
CREATE TABLE compute_flavor_access (
  flavor_id {text} NOT NULL,
  project_id {text} NOT NULL,
  PRIMARY KEY (flavor_id, project_id)
);
CREATE TABLE compute_group (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  name {text} NOT NULL,
  policy {text} NOT NULL,
  rules {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE INDEX compute_group_project ON compute_group (project_id);
CREATE TABLE compute_quota (
  scope {text} NOT NULL,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  resource {text} NOT NULL,
  hard_limit {int} NOT NULL,
  PRIMARY KEY (scope, project_id, user_id, resource)
);
CREATE TABLE compute_aggregate (
  id {int} PRIMARY KEY,
  uuid {text} NOT NULL,
  name {text} NOT NULL,
  availability_zone {text} NOT NULL,
  metadata {text} NOT NULL,
  hosts {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE UNIQUE INDEX compute_aggregate_name ON compute_aggregate (name);
CREATE TABLE compute_host (
  id {text} PRIMARY KEY,
  number {int} NOT NULL,
  service_id {text} NOT NULL,
  name {text} NOT NULL,
  address {text} NOT NULL,
  kind {text} NOT NULL,
  version {int} NOT NULL,
  cpu {text} NOT NULL,
  vcpus {int} NOT NULL,
  memory_mb {int} NOT NULL,
  disk_gb {int} NOT NULL,
  overhead_mb {int} NOT NULL,
  enabled {int} NOT NULL,
  disabled_reason {text} NOT NULL,
  forced_down {int} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  seen_us {int} NOT NULL,
  report {int} NOT NULL
);
CREATE UNIQUE INDEX compute_host_name ON compute_host (name);
"""

_CAPACITY = """
CREATE TABLE placement_provider (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  generation {int} NOT NULL,
  parent_id {text},
  root_id {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE UNIQUE INDEX placement_provider_name ON placement_provider (name);
CREATE TABLE placement_inventory (
  provider_id {text} NOT NULL,
  resource_class {text} NOT NULL,
  total {int} NOT NULL,
  reserved {int} NOT NULL,
  min_unit {int} NOT NULL,
  max_unit {int} NOT NULL,
  step_size {int} NOT NULL,
  allocation_ratio {text} NOT NULL,
  PRIMARY KEY (provider_id, resource_class)
);
CREATE TABLE placement_consumer (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  generation {int} NOT NULL,
  consumer_type {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE INDEX placement_consumer_project ON placement_consumer (project_id);
CREATE TABLE placement_allocation (
  consumer_id {text} NOT NULL,
  provider_id {text} NOT NULL,
  resource_class {text} NOT NULL,
  used {int} NOT NULL,
  PRIMARY KEY (consumer_id, provider_id, resource_class)
);
CREATE INDEX placement_allocation_provider ON placement_allocation (provider_id);
"""

_BOOTED = "ALTER TABLE compute_host ADD COLUMN booted_us {int} NOT NULL DEFAULT 0;\n"

_PASSWORD = "ALTER TABLE compute_server ADD COLUMN guest_password {text} NOT NULL DEFAULT '';\n"

_UNREAD = "".join(
    f"ALTER TABLE compute_{table} DROP COLUMN {column};\n"
    for table, columns in (
        ("server", "uid pid pid_start boot_id hints locked_reason"),
        ("device", "attachment_id"),
    )
    for column in columns.split()
)

MIGRATIONS = [
    Migration("compute", 1, "servers, their devices and actions", _SERVERS),
    Migration("compute", 2, "flavors, keypairs, quotas, hosts", _BOOKS),
    Migration("compute", 3, "capacity: providers, inventories, allocations", _CAPACITY),
    Migration("compute", 4, "since when hosts run", _BOOTED),
    Migration("compute", 5, "columns that nobody reads go", _UNREAD),
    Migration("compute", 6, "the password that a guest keeps for its owner", _PASSWORD),
]
