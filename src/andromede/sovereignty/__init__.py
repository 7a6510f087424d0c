"""The witnessed ledger: a Merkle log per tenant over its audit events (docs/ledger.md)."""
