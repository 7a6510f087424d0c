"""Key manager service (Barbican v1): tenants' secrets under the key tree."""
