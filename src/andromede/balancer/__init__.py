"""Load balancing service (Octavia v2)."""
