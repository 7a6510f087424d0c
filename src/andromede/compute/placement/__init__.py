"""Placement: who offers which resources, and who has taken them (Placement API 1.0 to 1.39)."""
