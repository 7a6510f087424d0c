"""Schema of the load balancer service: one row a load balancer, which is what works, and one a part of it."""

from __future__ import annotations

from andromede.db import Migration
from andromede.work.lifecycle import COLUMNS

MIGRATIONS = (
    Migration(
        "balancer",
        1,
        "load balancers and their parts",
        """
CREATE TABLE balancer (
  id {text} PRIMARY KEY,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  description {text} NOT NULL,
  admin_up {int} NOT NULL,
  address {text} NOT NULL,
  port_id {text} NOT NULL,
  subnet_id {text} NOT NULL,
  network_id {text} NOT NULL,
  own_port {int} NOT NULL,
  provider {text} NOT NULL,
  flavor_id {text} NOT NULL,
  zone {text} NOT NULL,
  tags {text} NOT NULL,
  host {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL,"""
        + COLUMNS
        + """
);
CREATE INDEX balancer_due ON balancer (due_us);
CREATE INDEX balancer_project ON balancer (project_id, created_us, id);
CREATE TABLE balancer_part (
  id {text} PRIMARY KEY,
  kind {text} NOT NULL,
  balancer_id {text} NOT NULL,
  parent_id {text} NOT NULL,
  project_id {text} NOT NULL,
  name {text} NOT NULL,
  provisioning {text} NOT NULL,
  health {text} NOT NULL,
  position {int} NOT NULL,
  spec {text} NOT NULL,
  created_us {int} NOT NULL,
  updated_us {int} NOT NULL
);
CREATE INDEX balancer_part_balancer ON balancer_part (balancer_id, kind, position, created_us, id);
CREATE INDEX balancer_part_parent ON balancer_part (parent_id, kind);
CREATE INDEX balancer_part_project ON balancer_part (project_id, kind, created_us, id);
CREATE TABLE balancer_traffic (
  listener_id {text} PRIMARY KEY,
  balancer_id {text} NOT NULL,
  past {text} NOT NULL,
  present {text} NOT NULL
);
CREATE INDEX balancer_traffic_balancer ON balancer_traffic (balancer_id);
CREATE TABLE balancer_quota (
  project_id {text} PRIMARY KEY,
  limits {text} NOT NULL
);
""",
    ),
)
