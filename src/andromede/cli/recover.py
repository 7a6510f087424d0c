"""recover-admin: for an operator who lost `clouds.yaml`."""

from __future__ import annotations

import argparse

from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.cli.store import operator
from andromede.ops import listeners, running
from andromede.ops.clientfiles import Places


def recover(args: argparse.Namespace, out: Output) -> int:
    """`andromede recover-admin`: the old passwords end, other users and keys stay."""
    from andromede import app

    place, config = common.installed(args)
    if not args.yes:
        out.note("This ends the passwords of admin and demo and writes clouds.yaml and s3.env anew.")
        if input("Go on? (yes) ") != "yes":
            return table.FAILED
    state, server = running.read(place), config.server
    api = state.api_url if state else listeners.parse(server.listen).url(server.tls)
    objects = state.objects_url if state else listeners.parse(server.objects).url(server.tls)
    ca = app.certificates(config)[2] if (state.tls if state else server.tls) else None
    app.recover(config, Places(api, objects, server.region, ca), operator())
    out.say(f"new credentials are in {place.clouds} and {place.s3_env}")
    out.result({"clouds_yaml": str(place.clouds), "s3_env": str(place.s3_env)})
    return table.OK
