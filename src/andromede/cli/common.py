"""What most commands start with: the data directory and its settings."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from andromede import config as settings
from andromede.config import Config
from andromede.errors import Invalid
from andromede.ops.layout import Layout


def layout(args: argparse.Namespace) -> Layout:
    """The data directory that the command names. Raises `Invalid` for one that this user may not look into."""
    data = Path(args.data).expanduser() if args.data else settings.default_data_dir(os.environ)
    place = Layout(data.absolute())
    try:
        place.exists()
    except OSError as error:
        raise Invalid(
            f"{place.data} cannot be looked into: {error.strerror}; run this as its owner, or name another with --data",
            "data",
        ) from error
    return place


def load(args: argparse.Namespace) -> Config:
    """Settings of that directory, with the addresses that the command line gives."""
    server: dict[str, Any] = {
        word: getattr(args, word) for word in ("listen", "objects", "tls") if getattr(args, word, None) is not None
    }
    return settings.load(layout(args).data, overrides={"server": server})


def installed(args: argparse.Namespace) -> tuple[Layout, Config]:
    """The same for an installation that must exist."""
    place = layout(args)
    place.require()
    return place, load(args)
