"""Schema of the key manager. Payloads stand sealed beside their secret; the data key that opens one is a row of
`key_sealed`, named `secrets/<id of the secret>`."""

from __future__ import annotations

from andromede.db import Migration

MIGRATIONS = (
    Migration(
        "keymanager",
        1,
        "secrets, containers, orders, access lists and quotas",
        """
CREATE TABLE secret (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  creator_id {text} NOT NULL,
  name {text},
  secret_type {text} NOT NULL,
  algorithm {text},
  bit_length {int},
  mode {text},
  content_type {text},
  sealed {blob},
  metadata {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,
  expiration_us {int}
);
CREATE INDEX secret_project ON secret (project_id, created_us, id);
CREATE INDEX secret_expiration ON secret (expiration_us) WHERE expiration_us IS NOT NULL;
CREATE TABLE secret_container (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  creator_id {text} NOT NULL,
  name {text},
  type {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE INDEX secret_container_project ON secret_container (project_id, created_us, id);
CREATE TABLE secret_member (
  container_id {text} NOT NULL,
  position {int} NOT NULL,
  name {text},
  secret_id {text} NOT NULL,
  PRIMARY KEY (container_id, position)
) {norowid};
CREATE INDEX secret_member_secret ON secret_member (secret_id);
CREATE TABLE secret_consumer (
  id {text} PRIMARY KEY,
  owner_id {text} NOT NULL,
  project_id {text} NOT NULL,
  facts {text} NOT NULL,
  created_us {int} NOT NULL
);
CREATE INDEX secret_consumer_owner ON secret_consumer (owner_id, created_us, id);
CREATE INDEX secret_consumer_project ON secret_consumer (project_id);
CREATE TABLE secret_order (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  creator_id {text} NOT NULL,
  type {text} NOT NULL,
  meta {text} NOT NULL,
  secret_id {text},
  container_id {text},
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE INDEX secret_order_project ON secret_order (project_id, created_us, id);
CREATE TABLE secret_acl (
  owner_id {text} PRIMARY KEY,
  project_access {int} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
) {norowid};
CREATE TABLE secret_acl_user (
  owner_id {text} NOT NULL,
  user_id {text} NOT NULL,
  PRIMARY KEY (owner_id, user_id)
) {norowid};
CREATE INDEX secret_acl_user_user ON secret_acl_user (user_id);
CREATE TABLE secret_quota (
  project_id {text} PRIMARY KEY,
  limits {text} NOT NULL
) {norowid};
""",
    ),
)
