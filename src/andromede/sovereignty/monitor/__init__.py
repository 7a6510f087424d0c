"""The monitor: follows a log from the tenant's side and trusts nobody (SOVEREIGNTY.md C1)."""
