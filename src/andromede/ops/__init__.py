"""The operator's side: data directory, supervision, client files, backup, checks. Knows processes and
files; what the roles do is handed in by the composition root."""
