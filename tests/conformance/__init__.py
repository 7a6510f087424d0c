"""Public conformance suites, run against a fresh installation. `make conformance`."""
