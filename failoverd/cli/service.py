"""`failoverctl install-service`: failoverd as a service, for those who have it from pip and not from a package.

A wheel can carry files, and cannot make a user, reload systemd or start anything. So it carries what the Debian package
installs (`failoverd/share`, the same files), and this puts them where an administrator's own files belong, below /etc:
those go before a package's and are never touched by one. (What a package has below /usr/share goes below
/usr/local/share.) Each file ends with a line that says whose it is. A file without that line is somebody else's, and is
neither replaced nor removed; nor is one that somebody has changed since.

Every step looks first at what is there, so a second run mends what a first one that was cut short has left, and takes
away what an earlier release had and this one has not. What the service could not reach is refused
(cli/servicereach.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from failoverd.cli.commands import DONE, NOT_PERMITTED, REFUSED
from failoverd.cli.servicefiles import BARE, LIBRARY, LOCAL, SHARE, File, RefusedError, left_behind, service_files
from failoverd.cli.servicemark import is_ours, was_changed
from failoverd.cli.servicereach import programs

USER = "failoverd"
DIRECTORIES = ("etc/failoverd/failoverd.toml.d", "etc/failoverd/hooks.d")
"""They wait for an administrator's files."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What does things, and says so: for real, or with `dry_run` in words only. `as_json`: in one object at the end."""

    root: Path
    dry_run: bool
    as_json: bool = False
    steps: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """One thing that is done."""
        self.steps.append(text)
        if not self.as_json:
            print(f"would {text}" if self.dry_run else text, flush=True)

    def call(self, *command: str, needed: bool = True) -> None:
        """Run a command. Raises RefusedError where it is needed and fails."""
        self.say(f"run {' '.join(command)}")
        if self.dry_run:
            return
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            code, said = 127, str(error)
        else:
            code, said = done.returncode, (done.stderr or done.stdout).strip()
        if code and needed:
            raise RefusedError(f"{' '.join(command)} failed ({code}): {said}; put that right and run this again")

    def write(self, file: File) -> None:
        """Put a file in its place, whole or not at all. Raises OSError."""
        path = self.root / file.place
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") == file.text:
            self.say(f"leave {path} as it is")
            return
        self.say(f"write {path}")
        if not self.dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.new")
            beside.write_text(file.text, encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(path)

    def make(self, path: Path) -> None:
        """Make a directory, if it is not there. Raises OSError."""
        if path.is_dir():
            return
        self.say(f"make {path}")
        if not self.dry_run:
            path.mkdir(parents=True)

    def remove(self, path: Path) -> None:
        """Take a file or a directory away, if it is there. Raises OSError."""
        if not os.path.lexists(path):
            return
        self.say(f"remove {path}")
        if self.dry_run:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `failoverctl install-service`; cli/commands.py tells of them."""
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="install into the system in DIR")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--remove", action="store_true", help="undo it")


def run(options: argparse.Namespace) -> int:
    """Carry it out. Returns the exit code."""
    hands = Hands(options.root.absolute(), options.dry_run, options.json)
    code = DONE
    try:
        if not hands.dry_run and os.geteuid() != 0:
            code = NOT_PERMITTED
            raise RefusedError("this is root's; try it with sudo, or with --dry-run to see what it would do")
        if not hands.dry_run:
            # Others have to read what is put there, whatever root's own files are like.
            os.umask(0o022)
        if not hands.root.is_dir():
            raise RefusedError(f"{hands.root} is no directory; --root takes the one that a system's files are in")
        (_remove if options.remove else _install)(hands)
    except (RefusedError, OSError) as error:
        print(f"failoverctl: {error}", file=sys.stderr)
        code = code or REFUSED
    if hands.as_json:
        print(json.dumps({"dry_run": hands.dry_run, "steps": hands.steps}, indent=2))
    return code


def _install(hands: Hands) -> None:
    here = hands.root == Path("/")
    _refuse_beside_a_package(hands.root)
    if here and not Path("/run/systemd/system").is_dir():
        raise RefusedError("systemd does not run here; start failoverd as your own supervisor starts its services")
    files = service_files(programs())
    for file in files:
        _refuse_to_replace(hands.root / file.place)
    within = () if here else (f"--root={hands.root}",)
    hands.call("systemd-sysusers", *within, "--inline", _user())
    for file in files:
        hands.write(file)
    _take_away(hands, _left_behind(hands, files))
    for place in DIRECTORIES:
        hands.make(hands.root / place)
    if here:
        _reload(hands)
        # dbus-daemon has seen its new file; others have to be told.
        bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig")
        hands.call("busctl", "--quiet", "call", *bus, needed=False)
        # systemd-networkd reads its files again when it is told to, and is not started for that.
        networkd, place = "org.freedesktop.network1", "/org/freedesktop/network1"
        told = ("call", networkd, place, f"{networkd}.Manager", "Reload")
        hands.call("busctl", "--quiet", "--auto-start=no", *told, needed=False)
    hands.call("systemctl", *within, "enable", *_enabled(files))
    if here:
        for unit in _enabled(files):
            # What is there already runs the code of before; a restart disturbs no traffic.
            hands.call("systemctl", "restart" if unit.endswith(".service") else "start", unit)


def _remove(hands: Hands) -> None:
    here = hands.root == Path("/")
    _refuse_beside_a_package(hands.root)
    known = service_files(Path("/usr/bin"))
    for file in known:
        _refuse_what_was_changed(hands.root / file.place)
    files = [file for file in known if is_ours(hands.root / file.place)] + _left_behind(hands, known)
    hands.remove(hands.root / LIBRARY / "cloud-init" / "__pycache__")
    _take_away(hands, files)
    if not files:
        hands.say("leave everything as it is: there is no service of this kind")
        return
    for place in ("run/failoverd", "run/failoverd-hooks", "var/lib/failoverd"):
        hands.remove(hands.root / place)
    hands.call("userdel", *(() if here else ("--root", str(hands.root))), USER, needed=False)
    if here:
        _reload(hands)
    _leave_configuration(hands, hands.root / "etc/failoverd")


def _left_behind(hands: Hands, files: Sequence[File]) -> list[File]:
    """What only an earlier release had, and nobody has changed."""
    found = left_behind(hands.root, files)
    changed = [file for file in found if was_changed(hands.root / file.place)]
    for file in changed:
        hands.say(f"leave {hands.root / file.place} of an earlier release as it is: it was changed since")
    return [file for file in found if file not in changed]


def _take_away(hands: Hands, files: Sequence[File]) -> None:
    """Stop the units, and remove all of it."""
    here = hands.root == Path("/")
    units = [file for file in files if file.place.parent.name == "system"]
    if names := _enabled(units):
        hands.call("systemctl", "--now" if here else f"--root={hands.root}", "disable", *names, needed=False)
    for unit in units if here else ():
        hands.call("systemctl", "stop", unit.place.name, needed=False)
    for file in reversed(files):
        hands.remove(hands.root / file.place)
    _leave_nothing_empty(hands, files)


def _reload(hands: Hands) -> None:
    """Have everybody read the files anew who reads them."""
    hands.call("systemctl", "daemon-reload")
    hands.call("udevadm", "control", "--reload", needed=False)
    hands.call("journalctl", "--update-catalog", needed=False)


def _user() -> str:
    """The user, in a line as sysusers.d(5) has it. No file of ours is left of it, but for those it is made in."""
    lines = (SHARE / "units" / "failoverd.sysusers").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("u "))


def _refuse_beside_a_package(root: Path) -> None:
    for place in ("usr/lib/systemd/system", "lib/systemd/system"):
        if (root / place / "failoverd.service").exists():
            text = "a package has installed the service, and looks after it itself; remove the package first"
            raise RefusedError(f"{root / place / 'failoverd.service'}: {text} (apt purge failoverd)")


def _refuse_to_replace(path: Path) -> None:
    _refuse_what_was_changed(path)
    if os.path.lexists(path) and not is_ours(path):
        raise RefusedError(f"{path} is there and was not put there by this command; move it away, then run this again")


def _refuse_what_was_changed(path: Path) -> None:
    if was_changed(path):
        text = "was changed since this command wrote it; what is yours belongs into a file of its own (a drop-in)"
        raise RefusedError(f"{path} {text}; move this one away, then run this again")


def _enabled(files: Sequence[File]) -> list[str]:
    """Units that are started by themselves; sockets first, as services write to them."""
    names = [file.place.name for file in files if "\n[Install]\n" in file.text]
    return sorted(names, key=lambda name: not name.endswith(".socket"))


def _leave_nothing_empty(hands: Hands, files: Sequence[File]) -> None:
    local = Path(LOCAL)
    for file in files:
        place = file.place.parent
        while str(place) in BARE or (place.is_relative_to(local) and place not in (local, local / "man")):
            there = hands.root / place
            if there.is_dir():
                if any(there.iterdir()):
                    break
                hands.remove(there)
            place = place.parent


def _leave_configuration(hands: Hands, where: Path) -> None:
    if not where.is_dir():
        return
    if any(path.is_file() for path in where.rglob("*")):
        hands.say(f"leave the configuration in {where}")
    else:
        hands.remove(where)
