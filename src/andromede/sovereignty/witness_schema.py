"""Tables of witnesses: whom we cosign for, what was cosigned, who cosigns for us and what they last saw."""

from __future__ import annotations

from andromede.db import Migration

MIGRATIONS = (
    Migration(
        "sovereignty",
        2,
        "witnesses",
        """
CREATE TABLE witness_trust (
  name {text} PRIMARY KEY,
  keys {text} NOT NULL,
  url {text} NOT NULL,
  added {int} NOT NULL
) {norowid};
CREATE TABLE witness_memory (
  origin {text} PRIMARY KEY,
  hash {text} NOT NULL UNIQUE,
  trust {text} NOT NULL,
  size {int} NOT NULL,
  root {blob} NOT NULL,
  note {text} NOT NULL,
  cosigned {int} NOT NULL
);
CREATE INDEX witness_memory_trust ON witness_memory (trust);
CREATE TABLE witness_evidence (
  id {serial},
  origin {text} NOT NULL,
  at_us {int} NOT NULL,
  answer {int} NOT NULL,
  request {blob} NOT NULL
);
CREATE INDEX witness_evidence_origin ON witness_evidence (origin, id);
CREATE TABLE witness_self (
  name {text} PRIMARY KEY,
  keys {text} NOT NULL,
  added {int} NOT NULL
) {norowid};
CREATE TABLE witness_peer (
  url {text} PRIMARY KEY,
  name {text} NOT NULL,
  keys {text} NOT NULL,
  ca {text} NOT NULL,
  run_by {text} NOT NULL,
  added {int} NOT NULL
) {norowid};
CREATE TABLE witness_view (
  origin {text} NOT NULL,
  url {text} NOT NULL,
  size {int} NOT NULL,
  cosigned {int} NOT NULL,
  tried {int} NOT NULL,
  failures {int} NOT NULL,
  error {text} NOT NULL,
  PRIMARY KEY (origin, url)
) {norowid};
CREATE TABLE witness_halt (
  origin {text} PRIMARY KEY,
  url {text} NOT NULL,
  reason {text} NOT NULL,
  note {text} NOT NULL,
  since {int} NOT NULL
) {norowid};
""",
    ),
    Migration(
        "sovereignty",
        4,
        "what a witness had cosigned when it refused",
        "ALTER TABLE witness_evidence ADD COLUMN known {text};\n",
    ),
)
