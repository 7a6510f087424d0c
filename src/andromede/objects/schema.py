"""Tables of the object service.

`version.listed`: 1 = newest and visible, 2 = newest and a delete marker, 3 = newest and visible in a
container whose listings scan the primary key (never versioned), 0 = not the newest.
"""

from __future__ import annotations

from andromede.db import Migration

MIGRATIONS = (
    Migration(
        "objects",
        1,
        "accounts, containers, versions, uploads, garbage",
        """
CREATE TABLE account (
  project_id {text} PRIMARY KEY,
  generation {int} NOT NULL,
  metadata {text} NOT NULL,
  settings {text} NOT NULL
) {norowid};
CREATE TABLE container (
  id {int} PRIMARY KEY,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  s3_name {text},
  owner_id {text} NOT NULL,
  created {int} NOT NULL,
  generation {int} NOT NULL,
  versioning {text} NOT NULL,
  lock_enabled {int} NOT NULL,
  indexed {int} NOT NULL,
  kek {text} NOT NULL,
  metadata {text} NOT NULL,
  settings {text} NOT NULL,
  documents {text} NOT NULL
);
CREATE UNIQUE INDEX container_name ON container (project_id, name);
CREATE UNIQUE INDEX container_s3_name ON container (s3_name);
CREATE TABLE container_usage (
  container_id {int} PRIMARY KEY,
  objects {int} NOT NULL,
  bytes {int} NOT NULL
);
CREATE TABLE version (
  container_id {int} NOT NULL,
  key {text} NOT NULL,
  seq {int} NOT NULL,
  id {text} NOT NULL,
  is_null {int} NOT NULL,
  listed {int} NOT NULL,
  kind {text} NOT NULL,
  size {int} NOT NULL,
  etag {text} NOT NULL,
  checksum {text},
  parts {int} NOT NULL,
  owner_id {text} NOT NULL,
  created {int} NOT NULL,
  delete_at {int},
  content_type {text} NOT NULL,
  wide {text} NOT NULL,
  blob_id {text} NOT NULL,
  ref {text} NOT NULL,
  kek {text} NOT NULL,
  wrapped {blob} NOT NULL,
  PRIMARY KEY (container_id, key, seq)
) {norowid};
CREATE INDEX version_listed ON version (container_id, key) WHERE listed = 1;
CREATE UNIQUE INDEX version_id ON version (id) WHERE is_null = 0;
CREATE INDEX version_delete_at ON version (delete_at) WHERE delete_at IS NOT NULL;
CREATE TABLE part (
  owner {text} NOT NULL,
  number {int} NOT NULL,
  size {int} NOT NULL,
  etag {text} NOT NULL,
  checksum {text},
  created {int} NOT NULL,
  blob_id {text} NOT NULL,
  ref {text} NOT NULL,
  kek {text} NOT NULL,
  wrapped {blob} NOT NULL,
  PRIMARY KEY (owner, number)
) {norowid};
CREATE TABLE upload (
  container_id {int} NOT NULL,
  key {text} NOT NULL,
  id {text} NOT NULL,
  version_id {text} NOT NULL,
  owner_id {text} NOT NULL,
  initiator_id {text} NOT NULL,
  created {int} NOT NULL,
  completed {int},
  algorithm {text},
  kind {text},
  content_type {text} NOT NULL,
  wide {text} NOT NULL,
  PRIMARY KEY (container_id, key, id)
) {norowid};
CREATE INDEX upload_completed ON upload (completed) WHERE completed IS NOT NULL;
CREATE TABLE blob (
  name {text} PRIMARY KEY,
  created {int} NOT NULL
) {norowid};
CREATE TABLE moved (
  blob_id {text} PRIMARY KEY,
  container_id {int} NOT NULL,
  key {text} NOT NULL
) {norowid};
CREATE TABLE garbage (
  id {serial},
  ref {text} NOT NULL,
  blob_id {text} NOT NULL,
  since {int} NOT NULL
);
CREATE INDEX garbage_since ON garbage (since);
CREATE TABLE log_dead (
  name {text} PRIMARY KEY,
  bytes {int} NOT NULL
) {norowid};
CREATE TABLE reading (
  source {text} PRIMARY KEY,
  oldest {int} NOT NULL,
  seen {int} NOT NULL
) {norowid};
""",
    ),
    Migration(
        "objects",
        2,
        "sums of accounts, and which containers have documents that a worker follows",
        """
CREATE TABLE account_usage (
  project_id {text} PRIMARY KEY,
  containers {int} NOT NULL,
  objects {int} NOT NULL,
  bytes {int} NOT NULL
) {norowid};
INSERT INTO account_usage (project_id, containers, objects, bytes)
  SELECT c.project_id, count(*), sum(u.objects), sum(u.bytes)
  FROM container c JOIN container_usage u ON u.container_id = c.id GROUP BY c.project_id;
CREATE TABLE container_document (
  kind {text} NOT NULL,
  container_id {int} NOT NULL,
  PRIMARY KEY (kind, container_id)
) {norowid};
INSERT INTO container_document (kind, container_id)
  SELECT 'lifecycle', id FROM container WHERE documents LIKE '%"lifecycle":%';
INSERT INTO container_document (kind, container_id)
  SELECT 'logging', id FROM container WHERE documents LIKE '%"logging":%';
""",
    ),
)
