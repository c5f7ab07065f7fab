"""What can be said to failoverctl: the one table. The parser, --help, the manual page and the completions come from it.

Plain classes, as everything here is read at every start and `dataclasses` alone takes longer than a whole call.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DONE, REFUSED, WRONG_USAGE, NO_DAEMON, ON_STANDBY, DEGRADED, NOT_PERMITTED, TIMED_OUT, NO_PAIR = range(9)

EXIT_CODES: Mapping[int, str] = {
    DONE: "the call was carried out",
    REFUSED: "failoverd will not or cannot do it, the configuration is wrong, or the output could not be written",
    WRONG_USAGE: "wrong usage",
    NO_DAEMON: "no failoverd answers, or not as one",
    NOT_PERMITTED: "not permitted: it is root's to do",
    TIMED_OUT: "failoverd took the call, and it has not come true in time; it still may",
}
STATUS_CODES: Mapping[int, str] = {
    DONE: "every master is on its VF",
    ON_STANDBY: "a master is on its paravirtual NIC: on-standby, joining, releasing or alone",
    DEGRADED: "a master is degraded (nothing can carry, or there is no standby), or in a state not known here",
    NO_PAIR: "there is no pair; failoverctl explain says why",
}
"""What status ends with beside."""


class Option:
    """`--flag` or `--flag VALUE`; `words` are the values it takes, where they are few."""

    __slots__ = ("about", "flag", "letter", "value", "words")

    def __init__(self, flag: str, about: str, letter: str = "", value: str = "", words: Sequence[str] = ()) -> None:
        self.flag, self.about, self.letter, self.value, self.words = flag, about, letter, value, words


class Command:
    """`takes` are its arguments as usage shows them, in square brackets those that may be left out. `about` is what
    --help and the manual page say beyond the summary; `examples` are (words, what they do). `changes`: it is root's."""

    __slots__ = ("about", "changes", "examples", "options", "summary", "takes")

    def __init__(
        self,
        takes: str,
        summary: str,
        about: str,
        examples: Sequence[tuple[str, str]],
        options: Sequence[Option] = (),
        changes: bool = False,
    ) -> None:
        self.takes, self.summary, self.about = takes.split(), summary, about
        self.examples, self.options, self.changes = examples, options, changes


OPTIONS = (
    Option("--json", "Print JSON: the daemon's own answer where there is one."),
    Option("--quiet", "Print nothing but errors; the exit code tells.", letter="-q"),
    Option("--color", "Colour the states; auto: on a terminal.", value="WHEN", words=("auto", "always", "never")),
    Option("--help", "Print this help and end.", letter="-h"),
    Option("--version", "Print the version and end."),
)

NIC = "A device is given by its name, an alternative name, its MAC or its ifindex."

COMMANDS: Mapping[str, Command] = {
    "status": Command(
        "[MASTER]",
        "who carries the traffic now; what is done without a command",
        "Prints a line for each master, and ends with an exit code for the worst of them: 0 when all are on their VF, "
        "4 when one is on its paravirtual NIC, 5 when one is degraded; released ones do not count. Where there is no "
        "other pair it is 8. With MASTER, it is about that one alone, and 0 means that it is on its VF and nothing "
        "else: released is 4.",
        [
            ("status", "all masters"),
            ("status ens3 -q && echo fast", "is ens3 on its VF?"),
            ("--json status", "for a program"),
        ],
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
        "Reads the history that failoverd keeps on disk. Beside the table it can show who carried, as a strip of text "
        "or as a picture.",
        [
            ("history --last 20", "the last 20 events"),
            ("history --master ens3 --since 2d", "those of ens3 in the last two days"),
            ("history --since 1d --strip", "who carried, in one line for each master"),
            ("history --svg history.svg", "the same as a picture"),
        ],
        [
            Option("--master", "Only events of this master (its name or MAC).", value="NAME"),
            Option("--since", "Only events since then: 2h, 3d, 2026-11-21, '2026-11-21 17:35'.", value="WHEN"),
            Option("--last", "Only the last N events.", value="N"),
            Option("--strip", "Show who carried, in one line for each master. Not with --json."),
            Option("--svg", "Draw who carried into FILE; - prints it. Not with --json.", value="FILE"),
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
        [Option("--timeout", "When the drain ends by itself; 0 for never. 600 without it.", value="SECONDS")],
        changes=True,
    ),
    "undrain": Command(
        "MASTER",
        "end a drain",
        "Traffic goes back to the VF when that has been steady for the hold-down.",
        [("undrain ens3", "the migration was called off")],
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
        "Makes its user, writes its units, udev rules and bus policy below /etc, manual pages and completions below "
        "/usr/local/share, then enables and starts failoverd.service; says each of them. What is there already is left "
        "as it is; what somebody else put there, or has changed since, is not replaced. Traffic is not disturbed. A "
        "package does all of this itself.",
        [
            ("install-service --dry-run", "what it would do"),
            ("install-service", "do it"),
            ("install-service --remove", "undo it; a configuration in /etc/failoverd stays"),
        ],
        [
            Option("--root", "Install into the system in DIR.", value="DIR"),
            Option("--dry-run", "Say what would be done, and change nothing."),
            Option("--remove", "Undo it."),
        ],
        changes=True,
    ),
}
