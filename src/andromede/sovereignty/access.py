"""Who may do what with a log. A project's own people; auditors of the system and administrators for every log.
A log that the caller may not read does not exist for it."""

from __future__ import annotations

from andromede.web.access import AccessTable, Grant

AUDITOR = Grant("cloud", "auditor", "any log")
OWN = (Grant("project", "reader"), Grant("project", "auditor"))
READ = (AUDITOR, *OWN)
SETTLE = (Grant("cloud", "admin"), Grant("project", "manager"))

READS = ("checkpoint", "tile", "consistency", "events", "receipt", "policy", "witnesses", "status", "roots")
GET = {word: f"sovereignty:get_{word}" for word in READS}
LIST_LOGS = "sovereignty:list_logs"
SET_POLICY = "sovereignty:set_policy"
ERASE = "sovereignty:erase_event"
VERIFIER = "sovereignty:get_verifier"

TABLE = AccessTable(
    {
        **dict.fromkeys(GET.values(), READ),
        LIST_LOGS: (Grant("cloud", "auditor"), *OWN),
        SET_POLICY: SETTLE,
        ERASE: (Grant("project", "manager", "of the caller's own project only"),),
        VERIFIER: (Grant("public"),),
    }
)
