"""The installed program from outside."""
