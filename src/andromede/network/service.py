"""The network service's door for other domains and for the composition root."""

from __future__ import annotations

from andromede.network.core import Core

__all__ = ["Core", "Networks"]


class Networks:
    """Networks, ports and addresses, for those who use them."""

    def __init__(self, core: Core) -> None:
        self.core = core
