"""Tables of policies, retention and monthly roots."""

from __future__ import annotations

from andromede.db import Migration

MIGRATIONS = (
    Migration(
        "sovereignty",
        3,
        "policies, retention, monthly roots",
        """
CREATE TABLE ledger_policy (
  tenant {text} PRIMARY KEY,
  body {text} NOT NULL,
  changed_us {int} NOT NULL
) {norowid};
CREATE TABLE ledger_pruned (
  tenant {text} PRIMARY KEY,
  upto {int} NOT NULL
) {norowid};
CREATE TABLE ledger_month (
  month {text} PRIMARY KEY,
  position {int} NOT NULL,
  pages {int} NOT NULL,
  logs {int} NOT NULL,
  at_us {int} NOT NULL
) {norowid};
""",
    ),
)
