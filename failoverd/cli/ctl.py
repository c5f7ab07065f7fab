"""`failoverctl`: ask a running failoverd, and tell it what to do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from failoverd.cli.client import NoDaemonError, RefusedError, call
from failoverd.cli.tables import table

EPILOG = """\
examples:
  failoverctl                    who carries the traffic now
  failoverctl explain ens4       why ens4 is, or is not, paired
  failoverctl release ens3       give ens3 and its VF back as they were before
  failoverctl adopt ens3         join them again

exit codes: 0 every master is on its VF (or the call was carried out), 1 the daemon refused,
2 wrong usage, 3 no daemon, 4 a master is on its standby, 5 a master is degraded
"""

REFUSED, NO_DAEMON, ON_STANDBY, DEGRADED = 1, 3, 4, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    options = _parser().parse_args(argv)
    name = options.command or "status"
    try:
        document = call(name, getattr(options, "nic", "") or "")
    except NoDaemonError as error:
        print(f"failoverctl: {error}", file=sys.stderr)
        return NO_DAEMON
    except RefusedError as error:
        print(f"failoverctl: {error}", file=sys.stderr)
        return REFUSED
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _show(name, document)
    return _exit_code(document) if name == "status" else 0


def _show(name: str, document: dict[str, Any]) -> None:
    if name == "status":
        print("\n".join(_masters(document["masters"])))
    elif name == "explain":
        rows = [[row["name"], row["mac"], row["driver"], row["verdict"], row["reason"]] for row in document["nics"]]
        print("\n".join(table(["NIC", "MAC", "DRIVER", "VERDICT", "WHY"], rows)))
    else:
        print(f"{name}: under way for {document['mac']}; failoverctl status tells how far it is")


def _masters(masters: list[dict[str, Any]]) -> list[str]:
    if not masters:
        return ["no pair found; failoverctl explain says what was made of every NIC"]
    rows = [
        [
            row["name"],
            row["state"],
            row["active"] or "-",
            row["primary"]["name"] if row["primary"] else "-",
            row["standby"]["name"] if row["standby"] else "-",
            row["datapath"],
            row["mac"],
            row["reason"],
        ]
        for row in masters
    ]
    return table(["MASTER", "STATE", "ACTIVE", "PRIMARY", "STANDBY", "DATAPATH", "MAC", "WHY"], rows)


def _exit_code(document: dict[str, Any]) -> int:
    states = {row["state"] for row in document["masters"]}
    if "degraded" in states:
        return DEGRADED
    return 0 if states <= {"accelerated", "released"} else ON_STANDBY


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="failoverctl",
        description="Ask a running failoverd, and tell it what to do.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary, wants in (
        ("status", "the masters, their slaves and who carries the traffic (the default)", None),
        ("explain", "what was made of every NIC, and why", "?"),
        ("release", "give a pair's devices back as they were before", 1),
        ("adopt", "join a pair now, also one that was released", 1),
    ):
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if wants == "?":
            command.add_argument("nic", nargs="?", help="a device's name, alternative name, MAC or ifindex")
        elif wants:
            command.add_argument("nic", help="the master, one of its slaves, or their MAC")
    return parser
