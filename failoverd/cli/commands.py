"""failoverctl's table of commands. --help, the manual page and the completions come from it."""

from __future__ import annotations

from failoverd.cli.arguments import Command, Option, Program, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DONE, REFUSED, WRONG_USAGE, NO_DAEMON, ON_STANDBY, DEGRADED, NOT_PERMITTED, TIMED_OUT, NO_PAIR = range(9)

EXIT_CODES: Mapping[int, str] = {
    DONE: "the call was carried out",
    REFUSED: "failoverd will not or cannot do it, the configuration is wrong, or the output could not be written",
    WRONG_USAGE: "wrong usage",
    NO_DAEMON: "no failoverd answers, or not as one",
    NOT_PERMITTED: "not permitted: it is root's to do",
    TIMED_OUT: "failoverd took the call, and it has not come true in time; it still may, as a move into a network "
    "namespace that is not there yet",
}
STATUS_CODES: Mapping[int, str] = {
    DONE: "every master is on its VF",
    ON_STANDBY: "a master is on its paravirtual NIC (on-standby, joining, releasing or alone), or is away, in another "
    "network namespace",
    DEGRADED: "a master is degraded (nothing can carry, or there is no standby), parked, or in a state not known here",
    NO_PAIR: "there is no pair; failoverctl explain says why",
}
"""The exit codes of status beyond the usual ones."""


OPTIONS = (
    Option("--json", "Print JSON: the daemon's own answer where there is one."),
    Option("--quiet", "Print nothing but errors; the exit code tells.", letter="-q"),
    Option("--color", "Colour the states; auto: on a terminal.", value="WHEN", words=("auto", "always", "never")),
)


def _since(text: str) -> float:
    """Return seconds since 1970. Raises ValueError."""
    import time

    from failoverd.cli.historyfile import moment

    return moment(text, time.time())


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"{text!r} is no number of events")
    return int(text)


def _timeout(text: str) -> str:
    """Return the text unchanged: the daemon reads it again."""
    seconds(text)
    return text


NIC = "A device is given by its name, an alternative name, its MAC or its ifindex."

COMMANDS: Mapping[str, Command] = {
    "status": Command(
        "[MASTER]",
        "which slave carries the traffic now; what is done without a command",
        "Prints a line for each master, and ends with an exit code for the worst of them: 0 when all are on their VF, "
        "4 when one is on its paravirtual NIC or away, 5 when one is degraded; released ones do not count. Where there "
        "is no other pair it is 8. With MASTER, it is about that one alone, and 0 means that it is on its VF and "
        "nothing else: released is 4.",
        [
            ("status", "all masters"),
            ("status ens3 -q && echo fast", "is ens3 on its VF?"),
            ("--json status", "for a program"),
        ],
        codes=STATUS_CODES,
    ),
    "list": Command(
        "",
        "every NIC in a line, for scripts",
        "Prints four columns without a head: the device, its role (master, primary, standby, or - for none), its "
        "master (or -), and its state: a master's as in status; active, ready or unfit for a slave; for others what "
        "explain says.",
        [("list", "all of them"), ("list | awk '$2 == \"master\" {print $1}'", "the masters' names")],
    ),
    "show": Command(
        "MASTER",
        "everything about one pair, in words",
        f"{NIC} A slave's will do.",
        [("show ens3", "the pair under ens3"), ("show ens4", "the same, by its VF")],
    ),
    "explain": Command(
        "[NIC]",
        "what was made of every NIC, and why",
        NIC,
        [("explain", "all NICs"), ("explain ens4", "why ens4 is, or is not, paired")],
    ),
    "interfaces": Command(
        "",
        "every network interface with its state and MAC",
        "Lists all interfaces, also those that failoverd has nothing to do with, in the three columns of virsh "
        "iface-list: name, active or inactive, MAC (- for none). Active is one that is up and running; a bridge is "
        "active while it is up. With --json there are its addresses, gateways, master, and more of each. Characters "
        "that cannot be printed are escaped.",
        [
            ("interfaces", "all of them"),
            ("interfaces --active", "only those that are active"),
            ("interfaces --json | jq '.interfaces[] | {name, ipv4}'", "with their addresses, for a program"),
            ("interfaces --watch", "all, and then each change as it comes"),
        ],
        [
            Option("--active", "Only active ones."),
            Option("--inactive", "Only inactive ones."),
            Option("--watch", "Go on with a line (with --json an object) for each change, until Ctrl-C."),
        ],
    ),
    "interface-xml": Command(
        "[NAME]...",
        "the live XML of an interface, as virsh iface-dumpxml prints it",
        "An interface is given by its name, an alternative name, its MAC where no other has it, or its ifindex; the "
        "first that fits, as a device may be called 7. Behind -- a name may begin with a dash. Names that cannot be in "
        "XML, as they are no UTF-8, are refused, and so is a MAC that several have: then the exit code is 1, after "
        "the documents of the others.",
        [
            ("interface-xml ens3", "one"),
            ("interface-xml --all", "all, in one <interfaces>"),
            ("interface-xml -- -odd", "one whose name begins with a dash"),
        ],
        [Option("--all", "All interfaces, as children of one <interfaces>.")],
    ),
    "watch": Command(
        "",
        "follow what happens, until Ctrl-C",
        "On a terminal the status is shown anew whenever it changes, with the last changes under it. Otherwise, and "
        "with --json, each change is a line (an object), after one for each master as it is now. Looks twice a second; "
        "what came and went in between is told by the count of failovers. A failoverd that ends or starts again is "
        "told, too.",
        [("watch", "on a terminal"), ("watch --json | logger -t failover", "one object a change")],
    ),
    "history": Command(
        "",
        "what happened, also before this boot; needs no daemon",
        "Reads the history that failoverd keeps on disk. Beside the table it can show which slave carried, as a strip "
        "of text or as a picture.",
        [
            ("history --last 20", "the last 20 events"),
            ("history --master ens3 --since 2d", "those of ens3 in the last two days"),
            ("history --since 1d --strip", "which slave carried, in one line for each master"),
            ("history --svg history.svg", "the same as a picture"),
        ],
        [
            Option("--master", "Only events of this master (its name or MAC).", value="NAME"),
            Option(
                "--since", "Only events since then: 2h, 3d, 2026-11-21, '2026-11-21 17:35'.", value="WHEN", read=_since
            ),
            Option("--last", "Only the last N events.", value="N", read=_count),
            Option("--strip", "Show which slave carried, in one line for each master. Not with --json."),
            Option("--svg", "Draw which slave carried into FILE; - prints it. Not with --json.", value="FILE"),
        ],
    ),
    "drain": Command(
        "MASTER",
        "move traffic to the paravirtual NIC, so that the VF can be pulled without loss",
        "Ends with 0 exactly when traffic is on the paravirtual NIC and the neighbours have been told. Traffic stays "
        "there until the next VF is plugged in, undrain, or the timeout. Where there is no VF, no drain is made, and "
        "drained is false in the JSON. Needs no terminal, HOME or PATH, so that the host can run it through the guest "
        "agent.",
        [("drain ens3", "before a live migration"), ("drain ens3 --timeout 60", "for a minute at the longest")],
        [Option("--timeout", "When it ends by itself; 0 for never. 600 without it.", value="SECONDS", read=_timeout)],
        changes=True,
    ),
    "undrain": Command(
        "MASTER",
        "end a drain",
        "Traffic goes back to the VF when that has been steady for the hold-down.",
        [("undrain ens3", "the migration was called off")],
        changes=True,
    ),
    "reset-damping": Command(
        "MASTER",
        "forget how often the VF has failed",
        "A VF that flaps is kept on the paravirtual NIC until it has been steady ([damping] in the configuration). "
        "After this it carries again when it has been steady for the hold-down.",
        [("reset-damping ens3", "the cable was changed")],
        changes=True,
    ),
    "switch": Command(
        "MASTER SLAVE",
        "have this slave carry now",
        "To the paravirtual NIC it is a drain without a timeout. To the VF it ends a drain and skips the hold-down. "
        "Ends when that slave carries.",
        [("switch ens3 ens4", "to the VF, at once"), ("switch ens3 ens3nsby", "to the paravirtual NIC, to stay")],
        changes=True,
    ),
    "rename": Command(
        "NIC NAME",
        "give a device another name",
        "Ends when the kernel has confirmed the name. Kernels before 6.2 rename nothing that is up: there a slave is "
        "taken down for a moment, while the other one carries, and a master that is up is refused.",
        [("rename ens3 lan0", "the master is lan0 from now on")],
        changes=True,
    ),
    "release": Command(
        "MASTER",
        "give a pair's devices back as they were before",
        "Name, addresses, routes, MTU and alternative names go to the paravirtual NIC, the master is removed, the VF "
        "is left down. It stays so over a reboot, until adopt. Ends when this has begun; status tells how far it is.",
        [("release ens3", "undo what failoverd did to ens3")],
        changes=True,
    ),
    "adopt": Command(
        "MASTER",
        "join a pair now, also one that was released",
        "Ends when this has begun; status tells how far it is. A pair that was released and is not here now is given "
        "by its MAC, and is joined when it comes.",
        [("adopt ens3", "take it back after a release")],
        changes=True,
    ),
    "move": Command(
        "MASTER [NAMESPACE]",
        "move a master into another network namespace, with all that stands on it, or home",
        "The master and the VLANs, macvlans and ipvlans on it are made anew there, with their addresses, routes and "
        "settings; the NICs are handed over, first one that does not carry; then the old ones are deleted. A "
        "namespace is given by its name below /run/netns, or as pid:N, path:P or container:C (label:K=V and so on). "
        "What cannot be moved is refused before anything is touched, and a move that is refused later is turned back. "
        "Into a namespace that is not there the master moves when it comes, and again when it goes and comes; that "
        "ends with --home, or when the master's namespace in the configuration is changed. "
        "While it is there, the bond fails over by itself; drain, undrain and switch work as at home; status says "
        "where it is and who carries; a VF that is plugged in is sent on and joined. If the namespace ends, all comes "
        "home, or is parked where the configuration says so.",
        [
            ("move ens3 web --dry-run", "what would move, and what keeps it"),
            ("move ens3 web", "into the network namespace web"),
            ("move ens3 --home", "back to failoverd's own"),
        ],
        [
            Option("--home", "Back into failoverd's own network namespace."),
            Option("--dry-run", "Only say what would be done, device by device."),
        ],
        changes=True,
    ),
    "links": Command(
        "[COMMAND] [ARGUMENT]...",
        "the links that the configuration declares: where they stand, and why",
        "Its commands are list (done without one), show, explain, watch, wait, resync, release, stats, check and "
        "graph; and for what etcd declares accept, put, get, del and import-ligato. failoverctl links COMMAND --help "
        "says more about one.",
        [
            ("links list", "where each link stands"),
            ("links explain web-host", "why it is not ready"),
            ("links wait web-host --timeout 30", "wait until it is ready"),
        ],
        is_program=True,
    ),
    "fleet": Command(
        "[OPTION]...",
        "how the masters and links of all machines are, as these have told etcd",
        "Reads what machines with [etcd] publish_status have written. Needs the package failoverd-etcd, and no daemon; "
        "failoverctl fleet --help says more.",
        [("fleet", "which machines run on the standby"), ("fleet --watch", "and then each change, until Ctrl-C")],
        [Option("--watch", "Go on with a line for each change, until Ctrl-C.")],
        is_program=True,
    ),
    "reload": Command(
        "",
        "have failoverd read its configuration anew",
        "Prints what has changed. A configuration with a mistake is refused whole, and the running one stays.",
        [("reload", "after a change of /etc/failoverd/failoverd.toml")],
        changes=True,
    ),
    "check-config": Command(
        "[FILE]",
        "read the configuration and name every mistake",
        "Needs no running failoverd and changes nothing. FILE (and FILE.d/*.toml) is read in place of "
        "/etc/failoverd/failoverd.toml; without it, a file that the service's user may not read is a mistake, too.",
        [("check-config", "what a reload would read"), ("check-config new.toml", "before it is put in place")],
    ),
    "install-service": Command(
        "",
        "make failoverd, installed by pip, a service of this system",
        "Copies its units, udev rules and bus policy below /etc, manual pages and completions below /usr/local/share, "
        "and prints the commands that start the service. A file that is there already is replaced only where an "
        "earlier release has put it there and it is unchanged since. A package does all of this itself.",
        [
            ("install-service", "copy the files, and print what to run next"),
            ("install-service | sh", "run it as well"),
            ("install-service --remove", "remove the files; a configuration in /etc/failoverd stays"),
        ],
        [
            Option("--root", "Install into the system in DIR.", value="DIR"),
            Option("--remove", "Remove what was copied."),
        ],
        changes=True,
    ),
}

CTL = Program(
    "failoverctl",
    "Ask a running failoverd, and tell it what to do.",
    OPTIONS,
    [COMMANDS[name].examples[0] for name in ("status", "explain", "drain", "release", "adopt")],
    EXIT_CODES,
    COMMANDS,
    usual="status",
)
