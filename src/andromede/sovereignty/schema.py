"""Tables of the ledger. Each part writes its own step; they are collected here in order."""

from __future__ import annotations

from andromede.db import Migration
from andromede.sovereignty import policy_schema, witness_schema

_LOGS = (
    Migration(
        "sovereignty",
        1,
        "tiles and checkpoints",
        """
CREATE TABLE ledger_tile (
  origin {text} NOT NULL,
  level {int} NOT NULL,
  number {int} NOT NULL,
  data {blob} NOT NULL,
  PRIMARY KEY (origin, level, number)
);
CREATE TABLE ledger_checkpoint (
  origin {text} NOT NULL,
  size {int} NOT NULL,
  root {blob} NOT NULL,
  made {int} NOT NULL,
  note {text},
  cosignatures {text} NOT NULL,
  refusal {text} NOT NULL,
  PRIMARY KEY (origin, size)
);
CREATE INDEX ledger_checkpoint_unsigned ON ledger_checkpoint (origin) WHERE note IS NULL;
""",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (*_LOGS, *witness_schema.MIGRATIONS, *policy_schema.MIGRATIONS)
