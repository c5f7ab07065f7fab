"""The commands and options of failoverd-lab: the one table."""

from __future__ import annotations

from pathlib import Path

from failoverd.cli.arguments import Command, Option, Program
from failoverd_lab.story import DATAPATHS

AS_EXPECTED, FAILED, BAD_FILE, CANNOT_TELL = 0, 1, 2, 3
WORLDS = ("sim", "netns", "vm")
AGAIN = {
    "": "in the simulated kernel, at once",
    " --in netns": "on this kernel, in a namespace of its own",
    " --in vm --svg u.svg": "in a real guest, with a picture",
    " --datapath tc": "the pair joined by traffic control",
}

DATAPATH = Option(
    "--datapath",
    "How pairs are joined; as the story or the daemon has it without it. net_failover, hv_netvsc: by the kernel.",
    value="DATAPATH",
    words=DATAPATHS,
)
FILE = "FILE is the path of a scenario, or the name of one that `list` shows."
COMMANDS = {
    "run": Command(
        "FILE...",
        "tell scenarios in a world",
        FILE,
        [
            *((f"run vf-unplug{options}", what) for options, what in AGAIN.items()),
            ("run scenarios/*.toml --quiet", "all of them, only what failed"),
        ],
        [
            Option("--in", "The world; sim without it.", value="WORLD", words=WORLDS),
            DATAPATH,
            Option("--svg", "Write the picture there; a directory for several.", value="PATH", read=Path),
            Option("--json", "Print each report as one line of JSON."),
            Option("--quiet", "Print only verdicts and what failed; no progress."),
        ],
    ),
    "demo": Command(
        "",
        "show what failoverd is for, and draw it",
        "",
        [("demo", "in a quarter of a minute"), ("demo --in vm", "in a real guest, which is live-migrated")],
        [
            Option("--in", "The world; netns without it.", value="WORLD", words=WORLDS),
            DATAPATH,
            Option("--svg", "Where the picture goes; build/demo.svg without it.", value="PATH", read=Path),
        ],
    ),
    "list": Command(
        "[DIRECTORY]", "show the scenarios there are", "DIRECTORY is scenarios/ without it.", [("list", "all of them")]
    ),
    "check": Command(
        "FILE...",
        "read scenarios and tell what is wrong with them",
        FILE,
        [("check my-story.toml", "read it, tell nothing")],
    ),
    "chaos": Command(
        "[WHAT] [SEED]",
        "tell random histories full of faults in the simulated kernel, and judge them",
        "Without WHAT, many seeds on all cores. `one` tells one of them again, just as it was; `shrink` finds its "
        "shortest part that breaks the same invariant. SEED is a number, or a file that `shrink` has written. `links` "
        "tells histories of declared links, `moves` those of a master that moves: many, or the one of SEED.",
        [
            ("chaos --runs 20000", "a million events"),
            ("chaos one 320 -v", "one seed, with everything that happens"),
            ("chaos shrink 320 --out 320.json", "as few events as still break it"),
            ("chaos links --runs 1000", "declared links, namespaces, other programs and kills"),
            ("chaos moves --runs 1000", "a master that moves between network namespaces"),
        ],
        [
            Option("--runs", "How many seeds; 1000 without it.", value="N", read=int),
            Option("--first", "The first of them; 0 without it.", value="SEED", read=int),
            Option("--events", "Events in each history; 50 without it.", value="N", read=int),
            Option("--processes", "How many at a time; one for each core without it.", value="N", read=int),
            Option("--verbose", "Tell every event, step, action and line of the log.", letter="-v"),
            Option("--out", "Where the shortest history goes, as JSON.", value="PATH", read=Path),
        ],
    ),
}
PROGRAM = Program(
    "failoverd-lab",
    "Tell a scenario in a simulated kernel, on the real one or in a guest, and see what came of it.",
    [],
    [example for command in COMMANDS.values() for example in command.examples],
    {
        AS_EXPECTED: "told as expected",
        FAILED: "an expectation failed",
        BAD_FILE: "wrong usage, or a bad file",
        CANNOT_TELL: "this world cannot tell the story, or cannot be built here",
    },
    COMMANDS,
)
