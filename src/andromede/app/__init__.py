"""Composition root: settings to database to services to roles. Only this package knows everything.

Heavy libraries are imported inside functions: the supervisor imports them once by `preload` and forks.
Every function that opens the database runs in a forked role or in a command.
"""

from andromede.app.base import (
    CUSTODY,
    PASSPHRASE,
    SEALED,
    Base,
    authenticator,
    blob_engine,
    certificates,
    custody,
    key_ring,
    migrations,
    object_tools,
    pending_migrations,
    root_key,
)
from andromede.app.first import initialise, recover
from andromede.app.ledger_service import ledger_service
from andromede.app.operator import (
    access_table,
    check_store,
    disk_copies,
    explain_access,
    guests_left,
    inspect,
    note_operation,
    operator_name,
    refuse_second_host,
    settle_disks,
)
from andromede.app.processes import (
    api_role,
    document_reconcilers,
    object_doors,
    object_roles,
    preload,
    roles,
    tls_context,
    work_role,
)
from andromede.app.witness import Alone, identity, serve_witness, witness_database, witness_key_file, witness_keys

__all__ = [
    "CUSTODY",
    "PASSPHRASE",
    "SEALED",
    "Alone",
    "Base",
    "access_table",
    "api_role",
    "authenticator",
    "blob_engine",
    "certificates",
    "check_store",
    "custody",
    "disk_copies",
    "document_reconcilers",
    "explain_access",
    "guests_left",
    "identity",
    "initialise",
    "inspect",
    "key_ring",
    "ledger_service",
    "migrations",
    "note_operation",
    "object_doors",
    "object_roles",
    "object_tools",
    "operator_name",
    "pending_migrations",
    "preload",
    "recover",
    "refuse_second_host",
    "roles",
    "root_key",
    "serve_witness",
    "settle_disks",
    "tls_context",
    "witness_database",
    "witness_key_file",
    "witness_keys",
    "work_role",
]
