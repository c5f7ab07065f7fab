"""The table of `failoverctl links`: its commands, as --help, the manual page and the completions have them."""

from __future__ import annotations

from failoverd.cli.arguments import Command, Option, Program, seconds
from failoverd.cli.commands import DEGRADED, DONE, EXIT_CODES, OPTIONS, TIMED_OUT

WAITING, NO_LINK = 4, 8

STATE_CODES = {
    DONE: "every link is ready; released ones do not count",
    WAITING: "a link waits, or is being made or removed",
    DEGRADED: "a link is degraded, in conflict or failed, or in a state not known here",
    NO_LINK: "no link is declared",
}
"""The exit codes of list, for the worst of the links."""

NAME = "NAME is that of its [link.NAME]."

DRY_RUN = Option("--dry-run", "Say what would be asked of the kernel, and ask nothing.")
FORETOLD = (
    "says what a reload would ask of the kernel for each link, and what would wait, and asks nothing. It looks at this "
    "machine by itself, as root, and needs no failoverd; from one that runs it learns what was declared before."
)

NODE = Option("--node", "Another machine than this one: its name in etcd.", value="NODE")
WITH_ETCD = "Needs the package failoverd-etcd, which carries it out."

COMMANDS = {
    "list": Command(
        "[NAME]...",
        "where each declared link stands; what is done without a command",
        "Prints a line for each end of a link, and ends with an exit code for the worst of them, or of those that are "
        f"named. --dry-run {FORETOLD}",
        [
            ("list", "all of them"),
            ("list web-host -q && echo ready", "is this one ready?"),
            ("list --json | jq -r '.links[] | select(.state != \"ready\") | .name'", "what is not, for a program"),
            ("list --dry-run", "what would a reload change?"),
        ],
        [DRY_RUN],
        codes=STATE_CODES,
    ),
    "show": Command(
        "NAME",
        "everything about one end of a link, in words",
        NAME,
        [("show web-host", "its state, device, namespace, where it was declared")],
    ),
    "explain": Command(
        "[NAME]",
        "why a link is not ready, and what would change that",
        "Follows what it waits for: its other end, the link it stands on. Without NAME, of every link that is not "
        "ready.",
        [("explain web-host", "one link"), ("explain", "all that are not ready")],
    ),
    "watch": Command(
        "",
        "follow the changes of links, until Ctrl-C",
        "Prints a line (with --json an object) for each link as it is now, and then for each change. Looks twice a "
        "second. A failoverd that ends or starts again is told, too.",
        [("watch", "on a terminal"), ("watch --json", "one object a change")],
    ),
    "wait": Command(
        "NAME...",
        "wait until links are ready",
        "Ends with 0 when all of them are ready at once. What takes longer than 2 s is told on a terminal. A link "
        "that is not declared is refused; a failoverd that is restarted meanwhile is waited for.",
        [
            ("wait web-host web-ct", "as long as it takes"),
            ("wait web-host --timeout 30", "30 s at the longest"),
        ],
        [Option("--timeout", "How long to wait; 0 looks once. For ever without it.", value="SECONDS", read=seconds)],
        codes={DONE: "all of them are ready", TIMED_OUT: "they were not all ready in time"},
    ),
    "resync": Command(
        "[NAME]",
        "look at links again, and try at once what was refused or waits",
        "Ends when this has begun. Where nothing differs from what is declared, nothing is changed.",
        [("resync", "all of them"), ("resync storage", "one, after its driver was loaded")],
        changes=True,
    ),
    "release": Command(
        "NAME",
        "let go of a link, and leave its device as it is",
        "Takes failoverd's mark off the device, so that it is another program's to change and to delete. Ends when "
        "this has begun. Take its declaration away as well: it would be in conflict with that device after the next "
        "start.",
        [("release web-host", "the device stays")],
        changes=True,
    ),
    "stats": Command(
        "[NAME]",
        "the counters of links",
        "Received and sent are seen from the end itself: what its device has received is rx. Only ends whose device is "
        "there are printed.",
        [("stats", "all of them"), ("stats web-ct --json", "one, for a program")],
    ),
    "check": Command(
        "FILE",
        "check the links that a file declares; needs no daemon",
        "Reads FILE (and FILE.d/*.toml) as a whole configuration, names every mistake with its line, and lists the "
        "ends that it declares. A veth whose other end is not in it would wait for that; it is no mistake. With "
        "--dry-run FILE alone is read, beside the files of the configuration and in place of a drop-in of its name; "
        f"that {FORETOLD}",
        [
            ("check 60-links.toml", "before it is put into failoverd.toml.d"),
            ("check 60-links.toml --dry-run", "what would be done with it there?"),
        ],
        [DRY_RUN],
    ),
    "accept": Command(
        "[NAME]...",
        "let go of links that are missing in etcd, and were not seen to be deleted there",
        f"Without NAME, of all of them. {WITH_ETCD}",
        [("accept", "all of them"), ("accept web-host", "one")],
        changes=True,
        is_program=True,
    ),
    "put": Command(
        "FILE [OPTION]...",
        "declare the links of a file in etcd, in one transaction",
        f"For this machine, or for NODE. {WITH_ETCD}",
        [("put web.toml --node h7", "for the machine h7")],
        [NODE],
        is_program=True,
    ),
    "get": Command(
        "[OPTION]...",
        "print the links that etcd declares for a machine",
        WITH_ETCD,
        [("get --node h7", "of the machine h7")],
        [NODE],
        is_program=True,
    ),
    "del": Command(
        "NAME... [OPTION]...",
        "withdraw links of a machine in etcd, in one transaction",
        WITH_ETCD,
        [("del web-host web-ct --node h7", "both ends, of the machine h7")],
        [NODE],
        is_program=True,
    ),
    "import-ligato": Command(
        "FILE",
        "convert the interfaces of the Linux plugin of Ligato into links",
        f"FILE has what etcdctl get --prefix /vnf-agent/LABEL/ prints. {WITH_ETCD}",
        [("import-ligato keys.txt", "as TOML: look at it, then put it")],
        is_program=True,
    ),
    "graph": Command(
        "",
        "draw what is declared, where it stands, and what waits for what",
        "Draws a box for each namespace with its devices, the wires between them, and what each waits for; as text, or "
        "as a picture with --svg.",
        [("graph", "as text"), ("graph --svg links.svg", "as a picture")],
        [Option("--svg", "Draw a picture into FILE; - prints it. Not with --json.", value="FILE")],
    ),
}

LINKS = Program(
    "failoverctl links",
    "Show the links that the configuration declares as [link.NAME], and tell failoverd what to do with them.",
    OPTIONS,
    [
        ("list", "where each link stands"),
        ("explain web-host", "why it is not ready"),
        ("wait web-host --timeout 30", "wait until it is ready"),
    ],
    EXIT_CODES,
    COMMANDS,
    usual="list",
)
