"""Isolation: what is not yours looks as if it were not there, and what is withdrawn is gone at once."""
