"""The table of failoverd-etcd's commands. failoverctl hands its own over to them (failoverctl fleet, links put...)."""

from __future__ import annotations

from failoverd.cli.arguments import Command, Option, Program
from failoverd.cli.commands import DEGRADED, DONE, NO_DAEMON, NO_PAIR, NOT_PERMITTED, ON_STANDBY, REFUSED, WRONG_USAGE


class CommandError(Exception):
    """A command was not carried out; the text says why, `code` is the exit code."""

    def __init__(self, text: str, code: int = REFUSED) -> None:
        super().__init__(text)
        self.code = code


NODE = Option("--node", "Another machine than this one: its name in etcd.", value="NODE")
FLEET_CODES = {
    DONE: "every master of every machine is on its VF",
    ON_STANDBY: "a master is on its paravirtual NIC (on-standby, joining, releasing or alone), or is away, in another "
    "network namespace",
    DEGRADED: "a master is degraded, or a machine's failoverd does not answer",
    NO_PAIR: "no machine tells of a master",
}
PROGRAM = Program(
    "failoverd-etcd",
    "Follow the links that etcd declares for this machine, and look after those of a fleet.",
    [
        Option("--config", "The configuration's main file, for [etcd].", value="FILE"),
        Option("--endpoints", "Members of etcd in place of the configuration's.", value="URL,URL"),
        Option("--json", "Print JSON."),
        Option("--quiet", "Print nothing but errors.", letter="-q"),
    ],
    [
        ("fleet", "which machines run on the standby"),
        ("put web.toml --node h7", "declare the links of a file for a machine, in one transaction"),
        ("status", "how it stands with etcd here"),
    ],
    {
        DONE: "it was done",
        REFUSED: "etcd refuses or cannot be reached, or what is to be declared is wrong",
        WRONG_USAGE: "wrong usage",
        NO_DAEMON: "failoverd-etcd does not run here",
        NOT_PERMITTED: "not permitted: it is root's to do",
    },
    {
        "run": Command(
            "",
            "follow etcd; what the service does",
            "Runs until SIGTERM. Started by failoverd-etcd.service.",
            [("run", "as the service does")],
        ),
        "status": Command(
            "",
            "how it stands with etcd on this machine",
            "Asks the running service: endpoint, revision, what is refused and what is suspect.",
            [("status --json", "for a program")],
        ),
        "accept": Command(
            "[NAME]...",
            "let go of links that are suspect",
            "Their keys are missing in etcd, and their deletion was not seen. Without NAME, of all of them.",
            [("accept", "all of them"), ("accept web-host", "one")],
            changes=True,
        ),
        "fleet": Command(
            "",
            "how the masters and links of all machines are",
            "Reads what machines with publish_status have written to etcd: a line for each master. Needs no daemon.",
            [
                ("fleet", "all machines"),
                (
                    "fleet --json | jq -r '.nodes[] | select(.masters[].state != \"accelerated\") | .node'",
                    "for a program",
                ),
                ("fleet --watch", "and then each change, until Ctrl-C"),
            ],
            [Option("--watch", "Go on with a line for each change, until Ctrl-C.")],
            codes=FLEET_CODES,
        ),
        "put": Command(
            "FILE",
            "declare the links of a file for a machine, in one transaction",
            "FILE is TOML, as in /etc/failoverd/failoverd.toml.d: [link.NAME] for one machine, or "
            "[node.NODE.link.NAME] for several. All of it is checked first. Links that FILE does not name stay.",
            [("put web.toml", "for this machine"), ("put web.toml --node h7", "for another one")],
            [NODE],
        ),
        "get": Command(
            "",
            "print the links that etcd declares for a machine",
            "Prints a line for each: its name, and its declaration as JSON.",
            [("get --node h7", "of another machine")],
            [NODE],
        ),
        "del": Command(
            "NAME...",
            "withdraw links of a machine, in one transaction",
            "What is not declared is told, and nothing is withdrawn then.",
            [("del web-host web-ct --node h7", "both ends")],
            [NODE],
        ),
        "import-ligato": Command(
            "FILE",
            "convert the interfaces of Ligato's Linux plugin",
            "FILE has what etcdctl get --prefix /vnf-agent/LABEL/ prints; - is standard input. Prints TOML for "
            "failoverctl links put, and what cannot be converted on standard error. Changes nothing.",
            [("import-ligato keys.txt > links.toml", "then look at it, and put it")],
        ),
    },
    usual="run",
)
