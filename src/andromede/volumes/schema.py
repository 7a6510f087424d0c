"""Tables of block storage."""

from __future__ import annotations

from andromede.db import Migration
from andromede.work.lifecycle import COLUMNS

DEFAULT_TYPE, LUKS_TYPE = "6f1c1a3e-0b59-4f0c-9a55-5d0c1f0a0001", "6f1c1a3e-0b59-4f0c-9a55-5d0c1f0a0002"
"""Ids of the types that every installation begins with."""
_SCS = "[scs:encrypted] LUKS under a key of the project"
"""SCS-0114: what a description begins with tells which guarantees the type gives."""

_DISKS = """
CREATE TABLE disk (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  size {int} NOT NULL,
  base {text} NOT NULL,
  base_format {text} NOT NULL,
  key_id {text} NOT NULL,
  wrapped {blob} NOT NULL,
  created_us {int} NOT NULL
);
"""

_VOLUMES = (
    """
CREATE TABLE volume (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  name {text},
  description {text},
  size {int} NOT NULL,
  new_size {int} NOT NULL,
  type_id {text} NOT NULL,
  zone {text} NOT NULL,
  bootable {int} NOT NULL,
  multiattach {int} NOT NULL,
  readonly {int},
  metadata {text} NOT NULL,
  image_metadata {text} NOT NULL,
  snapshot_id {text} NOT NULL,
  source_id {text} NOT NULL,
  image_id {text} NOT NULL,
  group_id {text} NOT NULL,
  previous {text} NOT NULL,
  wish {text} NOT NULL,
  migration {text},
  created_us {int} NOT NULL,
  updated_us {int},
"""
    + COLUMNS
    + """
);
CREATE INDEX volume_project ON volume (project_id, created_us);
CREATE INDEX volume_due ON volume (due_us);
CREATE TABLE volume_snapshot (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  volume_id {text} NOT NULL,
  name {text},
  description {text},
  size {int} NOT NULL,
  metadata {text} NOT NULL,
  group_snapshot_id {text} NOT NULL,
  progress {text} NOT NULL,
  wish {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int},
"""
    + COLUMNS
    + """
);
CREATE INDEX volume_snapshot_project ON volume_snapshot (project_id, created_us);
CREATE INDEX volume_snapshot_volume ON volume_snapshot (volume_id);
CREATE INDEX volume_snapshot_due ON volume_snapshot (due_us);
CREATE TABLE volume_backup (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  user_id {text} NOT NULL,
  volume_id {text} NOT NULL,
  snapshot_id {text} NOT NULL,
  parent_id {text} NOT NULL,
  name {text},
  description {text},
  size {int} NOT NULL,
  zone {text} NOT NULL,
  container {text} NOT NULL,
  objects {int} NOT NULL,
  incremental {int} NOT NULL,
  metadata {text} NOT NULL,
  data_id {text} NOT NULL,
  data_us {int} NOT NULL,
  restore_id {text} NOT NULL,
  wish {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int},
"""
    + COLUMNS
    + """
);
CREATE INDEX volume_backup_project ON volume_backup (project_id, created_us);
CREATE INDEX volume_backup_volume ON volume_backup (volume_id);
CREATE INDEX volume_backup_due ON volume_backup (due_us);
"""
)

_AROUND = """
CREATE TABLE volume_attachment (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  volume_id {text} NOT NULL,
  server_id {text} NOT NULL,
  host {text} NOT NULL,
  device {text} NOT NULL,
  mode {text} NOT NULL,
  status {text} NOT NULL,
  connector {text} NOT NULL,
  attached_us {int},
  created_us {int} NOT NULL
);
CREATE INDEX volume_attachment_volume ON volume_attachment (volume_id);
CREATE INDEX volume_attachment_server ON volume_attachment (server_id);
CREATE TABLE volume_transfer (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  volume_id {text} NOT NULL,
  name {text},
  salt {text} NOT NULL,
  digest {text} NOT NULL,
  snapshots {int} NOT NULL,
  destination {text} NOT NULL,
  accepted {int} NOT NULL,
  created_us {int} NOT NULL
);
CREATE INDEX volume_transfer_volume ON volume_transfer (volume_id);
CREATE TABLE volume_type (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  description {text},
  is_public {int} NOT NULL,
  specs {text} NOT NULL,
  qos_id {text} NOT NULL,
  encryption {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int}
);
CREATE UNIQUE INDEX volume_type_name ON volume_type (name);
CREATE TABLE volume_type_access (
  type_id {text} NOT NULL,
  project_id {text} NOT NULL,
  PRIMARY KEY (type_id, project_id)
) {norowid};
CREATE TABLE volume_default_type (
  project_id {text} PRIMARY KEY,
  type_id {text} NOT NULL
) {norowid};
CREATE TABLE volume_qos (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  consumer {text} NOT NULL,
  specs {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE UNIQUE INDEX volume_qos_name ON volume_qos (name);
CREATE TABLE volume_quota (
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  value {int} NOT NULL,
  PRIMARY KEY (project_id, name)
) {norowid};
CREATE TABLE volume_message (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  resource_type {text} NOT NULL,
  resource_id {text} NOT NULL,
  event_id {text} NOT NULL,
  text {text} NOT NULL,
  request_id {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE INDEX volume_message_project ON volume_message (project_id, created_us);
CREATE TABLE volume_service (
  binary_name {text} NOT NULL,
  host {text} NOT NULL,
  disabled {int} NOT NULL,
  reason {text},
  seen_us {int} NOT NULL,
  free_bytes {int} NOT NULL,
  total_bytes {int} NOT NULL,
  PRIMARY KEY (binary_name, host)
) {norowid};
CREATE TABLE volume_group_type (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  description {text},
  is_public {int} NOT NULL,
  specs {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE UNIQUE INDEX volume_group_type_name ON volume_group_type (name);
CREATE TABLE volume_group (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  description {text},
  zone {text} NOT NULL,
  type_id {text} NOT NULL,
  volume_types {text} NOT NULL,
  group_snapshot_id {text} NOT NULL,
  source_group_id {text} NOT NULL,
  status {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE TABLE volume_group_snapshot (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  description {text},
  group_id {text} NOT NULL,
  type_id {text} NOT NULL,
  status {text} NOT NULL,
  created_us {int} NOT NULL
);
"""

_FIRST_US = 1_790_000_000_000_000
_FIRST = "INSERT INTO volume_type (id, name, description, is_public, specs, qos_id, encryption, created_us, updated_us)"
_TYPES = "".join(
    f"{_FIRST} VALUES ('{type_id}', '{name}', '{_SCS}', 1, '{{}}', '', '{{}}', {_FIRST_US}, NULL);\n"
    for type_id, name in ((DEFAULT_TYPE, "__DEFAULT__"), (LUKS_TYPE, "luks"))
)

_DATA = "ALTER TABLE volume_backup ADD COLUMN data_project {text} NOT NULL DEFAULT '';\n"

MIGRATIONS = (
    Migration("volumes", 1, "disks, volumes, snapshots, backups", _DISKS + _VOLUMES + _AROUND + _TYPES),
    Migration("volumes", 2, "whose account holds the data of a backup", _DATA),
)
