"""images: guest images that this machine builds."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from andromede.cli import common, table
from andromede.cli.output import Output, size
from andromede.clock import SystemClock


def build(args: argparse.Namespace, out: Output) -> int:
    """`andromede images build`: build what is not on the shelf, and say where it lies."""
    from andromede.images.recipes.shelf import Shelf

    place, config = common.layout(args), common.load(args)
    if not args.cache and not config.hosting.image_cache:
        place.require()
    folder = Path(args.cache or config.hosting.image_cache or place.built_images).expanduser().absolute()
    shelf, found = Shelf(folder, SystemClock()), []
    for name in args.image:
        built = shelf.get(name, partial(_say, out, name), args.fresh)
        out.say(f"{name}: {built.path} ({size(built.size)}, built {built.built_at})")
        found.append({"name": name, "path": str(built.path), "size": built.size, "built_at": built.built_at,
                      "sha512": built.sha512})  # fmt: skip
    out.result({"images": found})
    return table.OK


def _say(out: Output, name: str, text: str) -> None:
    out.note(f"{name}: {text}")
