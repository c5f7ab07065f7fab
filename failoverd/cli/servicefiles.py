"""What `failoverctl install-service` puts where: the Debian package's files, told where failoverd is here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from failoverd.cli.servicemark import has_mark, marked

SHARE = Path(__file__).parents[1] / "share"
"""In the source tree it leads to units/, udev-rules/, neighbours/, completions/ and docs/man/; in a wheel the files are
there."""

CLOUD_INIT = ("cloud-init-local", "cloud-init-main", "cloud-init-network", "cloud-init")
"""Its services, in Debian 12 and 13, that look at NICs."""
DROP_INS = tuple(f"etc/systemd/system/{unit}.service.d" for unit in CLOUD_INIT)
LOCAL = "usr/local/share"
"""What is below it is there for who has put something into it; but for man, which Debian makes and links to."""
LIBRARY = f"{LOCAL}/failoverd"
PLACES = (
    ("units/*.conf", "etc/dbus-1/system.d", ".conf"),
    ("udev-rules/*.rules", "etc/udev/rules.d", ".rules"),
    ("units/*.catalog", "etc/systemd/catalog", ".catalog"),
    ("neighbours/systemd/*.network", "etc/systemd/network", ".network"),
    ("neighbours/cloud-init/*.py", f"{LIBRARY}/cloud-init", ".py"),
    *(("neighbours/cloud-init/*.conf", place, ".conf") for place in DROP_INS),
    ("units/*.service", "etc/systemd/system", ".service"),
    ("units/*.socket", "etc/systemd/system", ".socket"),
    *((f"man/*.{number}", f"{LOCAL}/man/man{number}", f".{number}") for number in (1, 5, 8)),
    ("completions/*.bash", f"{LOCAL}/bash-completion/completions", ""),
    ("completions/_*", f"{LOCAL}/zsh/site-functions", ""),
)
"""Which files go where. The user is made before, as the bus's policy and the units name him."""
BARE = ("etc/systemd/catalog", *DROP_INS)
"""Directories that a system has only for who puts something there."""

PROGRAM = re.compile(r"^(Exec\w+=[-@:+!|]*)/usr/bin/(failover[a-z-]*)", re.MULTILINE)
CONSTANT = re.compile(r'^(FAILOVERCTL = )"/usr/bin/(failoverctl)"', re.MULTILINE)
"""The same in a Python module."""


class RefusedError(Exception):
    """It cannot be done here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the service: its place below the root, and its text as it has to be there."""

    place: Path
    text: str


def service_files(programs: Path, share: Path = SHARE) -> list[File]:
    """The files of the service, with the programs in this directory. Raises RefusedError."""
    files = []
    for pattern, place, suffix in PLACES:
        for source in sorted(share.glob(pattern)):
            text = PROGRAM.sub(lambda found: f"{found[1]}{_quoted(programs / found[2])}", source.read_text("utf-8"))
            text = CONSTANT.sub(lambda found: f"{found[1]}{str(programs / found[2])!r}", text)
            text = text.replace("/usr/share/failoverd", f"/{LIBRARY}")
            files.append(File(Path(place, source.stem + suffix), marked(text)))
    if not any(file.place.name == "failoverd.service" for file in files):
        raise RefusedError(f"{share} has no units: this failoverd was not installed by pip, or not whole")
    return files


def left_behind(root: Path, files: Sequence[File]) -> list[File]:
    """What an earlier release has put into these directories, and these files are not: also what was changed since."""
    known = {root / file.place for file in files}
    places = dict.fromkeys(place for _, place, _ in PLACES)
    found = [path for place in places for path in sorted((root / place).glob("*"))]
    left = [path for path in found if path not in known and has_mark(path)]
    return [File(path.relative_to(root), path.read_text("utf-8", "surrogateescape")) for path in left]


def programs_named(share: Path) -> list[str]:
    """The names of our own programs that the units start."""
    texts = [path.read_text("utf-8") for path in share.glob("units/*.service")]
    return sorted({found[2] for text in texts for found in PROGRAM.finditer(text)})


def _quoted(program: Path) -> str:
    """A path as a unit's command line takes it (systemd.service(5), "COMMAND LINES")."""
    text = str(program).replace("%", "%%")
    return f'"{text}"' if re.search(r"\s", text) else text
