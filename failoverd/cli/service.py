"""`failoverctl install-service`: copy the units, rules and pages of a pip installation to where the system reads them.

A wheel carries the files of the Debian package (`failoverd/share`) and cannot put any of them in place. This copies
them below /etc and /usr/local/share, with the paths of the installed programs, and prints the commands that make the
system read them. It runs none of them.

It keeps one thing, a list of what was copied, with a digest of each file. A file that is not in the list, or differs
from it, is the administrator's: it is neither replaced nor removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from failoverd.cli.client import NotDoneError

SHARE = Path(__file__).parents[1] / "share"
"""In the source tree these are links to units/, udev-rules/, neighbours/, completions/ and docs/man/."""
BESIDE = "failoverd_*/share"
"""What other distributions have to be copied that are installed beside failoverd: failoverd-etcd."""
LOCAL = "usr/local/share"
LIST = f"{LOCAL}/failoverd/installed.json"
SYSTEM = "etc/systemd/system"
CLOUD_INIT = ("cloud-init-local", "cloud-init-main", "cloud-init-network", "cloud-init")
"""The services of cloud-init in Debian 12 and 13 that look at NICs."""
PLACES = (
    ("units/*.service", SYSTEM, ".service"),
    ("units/*.socket", SYSTEM, ".socket"),
    ("units/*.sysusers", "etc/sysusers.d", ".conf"),
    ("units/*.conf", "etc/dbus-1/system.d", ".conf"),
    ("units/*.catalog", "etc/systemd/catalog", ".catalog"),
    ("udev-rules/*.rules", "etc/udev/rules.d", ".rules"),
    ("neighbours/systemd/*.network", "etc/systemd/network", ".network"),
    ("neighbours/cloud-init/*.py", f"{LOCAL}/failoverd/cloud-init", ".py"),
    *(("neighbours/cloud-init/*.conf", f"{SYSTEM}/{unit}.service.d", ".conf") for unit in CLOUD_INIT),
    *((f"man/*.{section}", f"{LOCAL}/man/man{section}", f".{section}") for section in (5, 8)),
    ("completions/*.bash", f"{LOCAL}/bash-completion/completions", ""),
    ("completions/_*", f"{LOCAL}/zsh/site-functions", ""),
)
"""Which files go where, and the ends of their names there."""
EMPTY = ("etc/failoverd/failoverd.toml.d", "etc/failoverd/hooks.d")
"""Directories for an administrator's files."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not used
"""Directories that the service's sandbox hides from it: ProtectHome= and PrivateTmp=."""

SOCKETS = "failoverd-hooks.socket failoverd-netns.socket"
UNITS = f"{SOCKETS} failoverd.service"
NOTICE = (
    *("systemctl daemon-reload", "udevadm control --reload", "journalctl --update-catalog", "systemctl reload dbus"),
    "systemctl --quiet is-active systemd-networkd && networkctl reload",
)
"""Commands that make every reader of the files read them anew."""
START = (
    *("systemd-sysusers", *NOTICE, f"systemctl enable {UNITS}", f"systemctl start {SOCKETS}"),
    "systemctl restart failoverd.service",
)
"""Commands that start the service. A restart disturbs no traffic, and takes a new release into use."""
START_IN_IMAGE = ("systemd-sysusers --root={root}", f"systemctl --root={{root}} enable {UNITS}")
ETCD = "failoverd-etcd.service"
START_ETCD = (f"systemctl enable {ETCD}", f"systemctl restart {ETCD}")
STOP_ETCD = f"systemctl disable --now {ETCD}"
AFTER_ETCD = ("userdel failoverd-etcd", "rm -rf /run/failoverd-etcd /var/lib/failoverd-etcd")
FOR_LIBVIRT = "failoverd-libvirt.socket failoverd-libvirt-ro.socket"
"""Sockets that are off until an administrator turns them on."""
SERVICES = "failoverd-hooks.service failoverd-libvirt.service failoverd-netns.service"
STOP = f"systemctl disable --now {UNITS} {FOR_LIBVIRT} {SERVICES}"
STOP_IN_IMAGE = f"systemctl --root={{root}} disable {UNITS} {FOR_LIBVIRT}"
LEFT = ("/run/failoverd", "/run/failoverd-hooks", "/run/failoverd-netns", "/var/lib/failoverd")
AFTER = (*NOTICE, "userdel failoverd", f"rm -rf {' '.join(LEFT)}")


def install(root: Path, programs: Path) -> list[str]:
    """Copy the files into the system in `root`. Returns the commands to run next. Raises NotDoneError, OSError."""
    _refuse_beside_a_package(root)
    texts, (copied, folders) = files(programs), _list(root)
    for place, text in texts.items():
        path = root / place
        if os.path.lexists(path) and _digest(path) not in (copied.get(place), _sum(text)):
            raise NotDoneError(f"{path} is there, and not as this command would have left it; move it away first")
    left = _take_away(root, {place: digest for place, digest in copied.items() if place not in texts})
    needed = {*EMPTY, *(str(folder) for place in (*texts, LIST, *EMPTY) for folder in Path(place).parents)}
    folders += sorted(folder for folder in needed if not (root / folder).exists())
    os.umask(0o022)
    for place, text in texts.items():
        _write(root / place, text)
    for folder in EMPTY:
        (root / folder).mkdir(parents=True, exist_ok=True)
    listed = {"files": {place: _sum(text) for place, text in texts.items()}, "folders": folders}
    _write(root / LIST, json.dumps(listed, indent=1))
    has_etcd = f"{SYSTEM}/{ETCD}" in texts
    if root == Path("/"):
        return [*left, *START, *(START_ETCD if has_etcd else ())]
    return [*left, *(line.format(root=root) for line in START_IN_IMAGE), *_in_image(root, START_ETCD[:1] * has_etcd)]


def remove(root: Path) -> list[str]:
    """Remove what was copied. Returns the commands to run next. Raises NotDoneError, OSError."""
    for unit, stop, in_image in (
        ("failoverd.service", STOP, [STOP_IN_IMAGE.format(root=root)]),
        (ETCD, STOP_ETCD, _in_image(root, [f"systemctl disable {ETCD}"])),
    ):
        if os.path.lexists(root / SYSTEM / "multi-user.target.wants" / unit):
            raise NotDoneError(f"{unit} is enabled; first run: {stop if root == Path('/') else in_image[0]}")
    copied, folders = _list(root)
    if not copied:
        raise NotDoneError(f"there is no {root / LIST}: this command has installed no service here")
    left = _take_away(root, copied)
    (root / LIST).unlink()
    shutil.rmtree(root / LOCAL / "failoverd/cloud-init/__pycache__", ignore_errors=True)
    for folder in sorted(folders, reverse=True):
        # A directory with other files in it stays.
        with contextlib.suppress(OSError):
            (root / folder).rmdir()
    after = [*AFTER, *(AFTER_ETCD if f"{SYSTEM}/{ETCD}" in copied else ())]
    return left + (after if root == Path("/") else [])


def _in_image(root: Path, commands: Iterable[str]) -> list[str]:
    return [command.replace("systemctl", f"systemctl --root={root}", 1) for command in commands]


def files(programs: Path, share: Path = SHARE) -> dict[str, str]:
    """Return the files by their paths below the root, with the programs in this directory. Raises NotDoneError.

    `share` has them, and so have directories of its name in distributions beside that of failoverd.
    """
    if not re.fullmatch(r"[\w/.+-]+", str(programs)):
        raise NotDoneError(f"{programs}: a unit cannot name a program there; install into /opt/failoverd, say")
    found = {}
    for pattern, place, suffix in PLACES:
        for source in (path for one in (share, *share.parents[1].glob(BESIDE)) for path in sorted(one.glob(pattern))):
            text = source.read_text("utf-8").replace("/usr/bin/failover", f"{programs}/failover")
            found[f"{place}/{source.stem}{suffix}"] = text.replace("/usr/share/failoverd", f"/{LOCAL}/failoverd")
    return found


def programs() -> Path:
    """Return the directory of the programs, if the service can run them from there. Raises NotDoneError."""
    beside = Path(sys.argv[0]).resolve().parent
    for path in (beside / "failoverd", Path(sys.executable), Path(os.__file__), Path(__file__)):
        for step in (path, path.resolve()):
            if hidden := next((name for name in HIDDEN if step.is_relative_to(name)), ""):
                text = f"{step}: {hidden} is hidden from the service; install failoverd into a virtual environment such"
                raise NotDoneError(f"{text} as /opt/failoverd, made by the system's Python (/usr/bin/python3 -m venv)")
        if not path.exists():
            raise NotDoneError(f"there is no {path}; pip install failoverd puts it there")
    return beside


def _refuse_beside_a_package(root: Path) -> None:
    for unit in (root / place / "failoverd.service" for place in ("usr/lib/systemd/system", "lib/systemd/system")):
        if unit.exists():
            raise NotDoneError(f"{unit}: a package has installed the service; remove it first (apt purge failoverd)")


def _list(root: Path) -> tuple[Mapping[str, str], list[str]]:
    """Return what was copied: digests by path, and the directories that were made for it."""
    path = root / LIST
    listed = json.loads(path.read_text("utf-8")) if path.exists() else {"files": {}, "folders": []}
    return listed["files"], listed["folders"]


def _take_away(root: Path, copied: Mapping[str, str]) -> list[str]:
    """Remove these files, except those changed since. Returns a line about each of those."""
    left = []
    for path, digest in ((root / place, digest) for place, digest in copied.items()):
        if os.path.lexists(path) and _digest(path) != digest:
            left.append(f"# {path} was changed since it was copied, and stays")
        else:
            path.unlink(missing_ok=True)
    return left


def _write(path: Path, text: str) -> None:
    """Put a file in its place, whole or not at all, world-readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, "utf-8")
    beside.chmod(0o644)
    beside.replace(path)


def _digest(path: Path) -> str:
    """Return a file's digest; "" if it is not a regular file, which a link is not."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
