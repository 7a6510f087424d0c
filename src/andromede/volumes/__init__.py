"""Block storage service (Cinder v3): encrypted volumes, snapshots, backups."""
