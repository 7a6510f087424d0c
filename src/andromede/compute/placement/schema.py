"""What Placement keeps beside the rows of capacity: traits, aggregates, and names of the operator's own."""

from __future__ import annotations

from andromede.db import Migration

MIGRATIONS = (
    Migration(
        "placement",
        1,
        "traits, aggregates, custom names",
        """
CREATE TABLE placement_trait (
  provider_id {text} NOT NULL,
  name {text} NOT NULL,
  PRIMARY KEY (provider_id, name)
) {norowid};
CREATE INDEX placement_trait_name ON placement_trait (name);
CREATE TABLE placement_aggregate (
  provider_id {text} NOT NULL,
  aggregate_id {text} NOT NULL,
  PRIMARY KEY (provider_id, aggregate_id)
) {norowid};
CREATE INDEX placement_aggregate_aggregate ON placement_aggregate (aggregate_id);
CREATE TABLE placement_name (
  kind {text} NOT NULL,
  name {text} NOT NULL,
  created_us {int} NOT NULL,
  PRIMARY KEY (kind, name)
) {norowid};
""",
    ),
)
