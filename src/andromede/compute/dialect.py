"""How the compute API speaks: its versions and the form of its errors."""

from __future__ import annotations

from andromede.web.dialect import Dialect, fault
from andromede.web.microversions import Microversions

VERSIONS = Microversions("compute", (2, 1), (2, 61), "X-OpenStack-Nova-API-Version")
DIALECT = Dialect("nova", fault, {("too_large", "body"): 413, ("no_capacity", ""): 400})
