"""The monitor: follows a log from the tenant's side and trusts nobody (docs/monitor.md)."""
