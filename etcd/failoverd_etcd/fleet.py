"""`failoverctl fleet`: how the masters and links of all machines are, as these have written it to etcd."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from failoverd.cli.arguments import Wanted
from failoverd.cli.commands import DEGRADED, DONE, NO_PAIR, ON_STANDBY
from failoverd.cli.output import say
from failoverd.cli.tables import table, terminal_text, wants_colour
from failoverd_etcd.client import Etcd, LostError
from failoverd_etcd.keys import Keys
from failoverd_etcd.rows import HEAD, STATE, nodes_of, rows_of, worst
from failoverd_etcd.tool import configured, keys_of, told, with_etcd

CODES = {"fine": DONE, "standby": ON_STANDBY, "degraded": DEGRADED, "none": NO_PAIR}


def fleet(wanted: Wanted) -> int:
    """Print all machines, and with --watch each change. Returns the exit code."""
    config = configured(wanted)
    keys = keys_of(config, wanted)
    if "--watch" in wanted.options:
        return with_etcd(config, lambda etcd: _watch(etcd, keys, "--json" in wanted.options))
    _, _, found = with_etcd(config, lambda etcd: etcd.read(keys.statuses, most=0))
    nodes = nodes_of(_plain(found, keys))
    colour = wants_colour(sys.stdout) if sys.stdout is not None else False
    lines = table(HEAD, rows_of(nodes, time.time()), STATE if colour else -1)
    return (
        told(wanted, {"nodes": nodes}, lines if nodes else [f"no machine tells of itself below {keys.statuses}"])
        or CODES[worst(nodes)]
    )


def _plain(found: Iterable[Any], keys: Keys) -> dict[str, bytes]:
    return {kv.key.decode(errors="replace")[len(keys.statuses) :]: kv.value for kv in found}


async def _watch(etcd: Etcd, keys: Keys, as_json: bool) -> int:
    """Print a line for each master as it is now, and then for each change, until Ctrl-C. Raises LostError."""
    revision, _, found = await etcd.read(keys.statuses, most=0)
    there = _plain(found, keys)
    before: Mapping[tuple[str, str], list[str]] = {}
    async with etcd.watch(keys.statuses, revision + 1) as watch:
        while True:
            nodes = nodes_of(there)
            rows = {(row[0], row[1]): row for row in rows_of(nodes, None)}
            gone = [[*key, "gone"] for key in before if key not in rows]
            news = [row for key, row in rows.items() if before.get(key) != row]
            for row in [*news, *gone]:
                line = json.dumps(dict(zip(map(str.lower, HEAD), row, strict=False))) if as_json else "  ".join(row)
                if not say([line if as_json else terminal_text(line)]):
                    return DONE
            before = rows
            message = None
            while message is None:
                message = await watch.receive(10)
                if message is None:
                    await watch.ask()
                    if (message := await watch.receive(4)) is None:
                        raise LostError("it does not answer any more")
            for event in message.events:
                name = event.kv.key.decode(errors="replace")[len(keys.statuses) :]
                if event.type == 0:
                    there[name] = event.kv.value
                else:
                    there.pop(name, None)
