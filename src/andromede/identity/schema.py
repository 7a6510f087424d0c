"""Tables of the identity domain."""

from __future__ import annotations

from andromede.db import Migration

_PRINCIPALS = """
CREATE TABLE identity_epoch (id {int} PRIMARY KEY, value {int} NOT NULL);
INSERT INTO identity_epoch (id, value) VALUES (1, 1);
CREATE TABLE identity_project (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  domain_id {text} NOT NULL,
  parent_id {text},
  is_domain {int} NOT NULL,
  enabled {int} NOT NULL,
  description {text} NOT NULL,
  options {text} NOT NULL,
  extra {text} NOT NULL
);
CREATE UNIQUE INDEX identity_project_name ON identity_project (domain_id, name);
CREATE INDEX identity_project_parent ON identity_project (parent_id);
CREATE TABLE identity_tag (project_id {text} NOT NULL, name {text} NOT NULL, PRIMARY KEY (project_id, name));
CREATE TABLE identity_domain_config (
  domain_id {text} NOT NULL,
  section {text} NOT NULL,
  name {text} NOT NULL,
  value {text} NOT NULL,
  PRIMARY KEY (domain_id, section, name)
);
CREATE TABLE identity_user (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  domain_id {text} NOT NULL,
  enabled {int} NOT NULL,
  default_project_id {text},
  options {text} NOT NULL,
  extra {text} NOT NULL,
  failures {int} NOT NULL,
  failed_us {int} NOT NULL
);
CREATE UNIQUE INDEX identity_user_name ON identity_user (domain_id, name);
CREATE TABLE identity_password (
  id {int} PRIMARY KEY,
  user_id {text} NOT NULL,
  hash {text} NOT NULL,
  created_us {int} NOT NULL,
  expires_us {int},
  by_admin {int} NOT NULL
);
CREATE INDEX identity_password_user ON identity_password (user_id, id);
CREATE TABLE identity_group (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  domain_id {text} NOT NULL,
  description {text} NOT NULL,
  extra {text} NOT NULL
);
CREATE UNIQUE INDEX identity_group_name ON identity_group (domain_id, name);
CREATE TABLE identity_membership (group_id {text} NOT NULL, user_id {text} NOT NULL, PRIMARY KEY (group_id, user_id));
CREATE INDEX identity_membership_user ON identity_membership (user_id);
CREATE TABLE identity_role (
  id {text} PRIMARY KEY,
  name {text} NOT NULL,
  domain_id {text} NOT NULL,
  description {text},
  options {text} NOT NULL,
  extra {text} NOT NULL
);
CREATE UNIQUE INDEX identity_role_name ON identity_role (domain_id, name);
CREATE TABLE identity_implied (prior {text} NOT NULL, implied {text} NOT NULL, PRIMARY KEY (prior, implied));
CREATE TABLE identity_assignment (
  actor_kind {text} NOT NULL,
  actor_id {text} NOT NULL,
  target_kind {text} NOT NULL,
  target_id {text} NOT NULL,
  role_id {text} NOT NULL,
  inherited {int} NOT NULL,
  PRIMARY KEY (actor_id, actor_kind, target_kind, target_id, role_id, inherited)
);
CREATE INDEX identity_assignment_target ON identity_assignment (target_id, target_kind);
CREATE INDEX identity_assignment_role ON identity_assignment (role_id);
"""

_CREDENTIALS = """
CREATE TABLE identity_app_credential (
  id {text} PRIMARY KEY,
  user_id {text} NOT NULL,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  hash {text} NOT NULL,
  roles {text} NOT NULL,
  description {text},
  expires_us {int},
  unrestricted {int} NOT NULL,
  rules {text}
);
CREATE UNIQUE INDEX identity_app_credential_name ON identity_app_credential (user_id, name);
CREATE TABLE identity_access_rule (
  id {text} PRIMARY KEY,
  user_id {text} NOT NULL,
  service {text} NOT NULL,
  method {text} NOT NULL,
  path {text} NOT NULL
);
CREATE INDEX identity_access_rule_user ON identity_access_rule (user_id);
CREATE TABLE identity_credential (
  id {text} PRIMARY KEY,
  user_id {text} NOT NULL,
  type {text} NOT NULL,
  blob {blob} NOT NULL,
  project_id {text},
  access {text},
  trust_id {text},
  app_credential_id {text}
);
CREATE INDEX identity_credential_user ON identity_credential (user_id);
CREATE UNIQUE INDEX identity_credential_access ON identity_credential (access);
CREATE TABLE identity_trust (
  id {text} PRIMARY KEY,
  trustor_user_id {text} NOT NULL,
  trustee_user_id {text} NOT NULL,
  roles {text} NOT NULL,
  project_id {text},
  impersonation {int} NOT NULL,
  expires_us {int},
  deleted_us {int},
  remaining_uses {int},
  redelegated_trust_id {text},
  redelegation_count {int} NOT NULL,
  allow_redelegation {int} NOT NULL
);
CREATE INDEX identity_trust_trustor ON identity_trust (trustor_user_id);
CREATE INDEX identity_trust_trustee ON identity_trust (trustee_user_id);
CREATE TABLE identity_revocation (
  id {int} PRIMARY KEY,
  issued_us {int} NOT NULL,
  expires_us {int} NOT NULL,
  audit_id {text},
  chain_id {text},
  user_id {text}
);
CREATE INDEX identity_revocation_audit ON identity_revocation (audit_id);
CREATE INDEX identity_revocation_chain ON identity_revocation (chain_id);
CREATE INDEX identity_revocation_user ON identity_revocation (user_id);
"""

_CATALOG = """
CREATE TABLE identity_region (
  id {text} PRIMARY KEY,
  description {text} NOT NULL,
  parent_region_id {text},
  extra {text} NOT NULL
);
CREATE TABLE identity_service (
  id {text} PRIMARY KEY,
  type {text} NOT NULL,
  name {text},
  enabled {int} NOT NULL,
  description {text},
  extra {text} NOT NULL
);
CREATE TABLE identity_endpoint (
  id {text} PRIMARY KEY,
  service_id {text} NOT NULL,
  interface {text} NOT NULL,
  url {text} NOT NULL,
  region_id {text},
  enabled {int} NOT NULL,
  extra {text} NOT NULL
);
CREATE INDEX identity_endpoint_service ON identity_endpoint (service_id);
CREATE TABLE identity_registered_limit (
  id {text} PRIMARY KEY,
  service_id {text} NOT NULL,
  resource_name {text} NOT NULL,
  default_limit {int} NOT NULL,
  region_id {text},
  description {text}
);
CREATE TABLE identity_limit (
  id {text} PRIMARY KEY,
  service_id {text} NOT NULL,
  resource_name {text} NOT NULL,
  resource_limit {int} NOT NULL,
  region_id {text},
  project_id {text},
  domain_id {text},
  description {text}
);
CREATE TABLE identity_document (
  id {text} PRIMARY KEY,
  kind {text} NOT NULL,
  body {text} NOT NULL,
  secret {blob}
);
CREATE INDEX identity_document_kind ON identity_document (kind);
"""

_CODES = """
CREATE TABLE identity_used_code (
  credential_id {text} NOT NULL,
  counter {int} NOT NULL,
  PRIMARY KEY (credential_id, counter)
);
"""

MIGRATIONS = (
    Migration("identity", 1, "domains, projects, users, groups, roles, assignments", _PRINCIPALS),
    Migration("identity", 2, "credentials, trusts, revocations", _CREDENTIALS),
    Migration("identity", 3, "catalog, limits, documents", _CATALOG),
    Migration("identity", 4, "one-time codes are good once", _CODES),
)
