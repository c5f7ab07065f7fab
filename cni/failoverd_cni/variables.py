"""The variables that a runtime passes, validated."""

from __future__ import annotations

import posix
import sys

from failoverd_cni.errors import INVALID_VARIABLES, CniError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
NEEDED = {
    "ADD": ("CONTAINERID", "NETNS", "IFNAME"),
    "CHECK": ("CONTAINERID", "NETNS", "IFNAME"),
    "DEL": ("CONTAINERID", "IFNAME"),
}
"""What each command cannot do without (SPEC.md, CNI operations). DEL has no CNI_NETNS where the pod is gone."""
LONGEST_NAME = 15
"""Bytes of a device's name (linux/if.h, IFNAMSIZ)."""


class Variables:
    """One call of a runtime."""

    __slots__ = ("all", "command", "container", "ifname", "netns", "path")

    def __init__(self, found: Mapping[str, str]) -> None:
        """Read the variables. Raises CniError."""
        self.all = found
        """Every variable of this process: IPAM plugins get them as they are."""
        self.command = found.get("CNI_COMMAND", "")
        """One of COMMANDS."""
        if self.command not in COMMANDS:
            what = f"CNI_COMMAND is {self.command!r}" if self.command else "CNI_COMMAND is not set"
            raise CniError(INVALID_VARIABLES, f"{what}; it is one of {', '.join(COMMANDS)}")
        missing = [f"CNI_{name}" for name in NEEDED.get(self.command, ()) if not found.get(f"CNI_{name}")]
        if missing:
            raise CniError(INVALID_VARIABLES, f"{self.command} needs {' and '.join(missing)}")
        self.container = found.get("CNI_CONTAINERID", "")
        """The pod's name for the runtime."""
        self.netns = found.get("CNI_NETNS", "")
        """The path of the pod's network namespace; empty where it is gone."""
        self.ifname = found.get("CNI_IFNAME", "")
        """The pod's interface that this list of plugins is about."""
        self.path = found.get("CNI_PATH", "")
        """Where IPAM plugins are, directories with a colon between them."""
        if self.command in NEEDED:
            self._check()

    def _check(self) -> None:
        if bad := odd_container(self.container):
            raise CniError(INVALID_VARIABLES, f"CNI_CONTAINERID {self.container!r} {bad}")
        # DEL succeeds for a name that no ADD can have used.
        if self.command != "DEL" and (bad := odd_name(self.ifname)):
            raise CniError(INVALID_VARIABLES, f"CNI_IFNAME {self.ifname!r} {bad}")


def odd_container(name: str) -> str:
    """Say what is wrong with a container's name, or nothing."""
    plain = "".join(letter for letter in name if letter not in "_.-")
    if name[:1].isalnum() and plain.isascii() and plain.isalnum():
        return ""
    return "begins with no letter or digit, or has more than letters, digits, '_', '.' and '-'"


def odd_name(name: str) -> str:
    """Say why the kernel or the specification refuses a device's name, or nothing (net/core/dev.c, dev_valid_name)."""
    try:
        size = len(name.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        return "has a surrogate, which is half a character"
    if not 0 < size <= LONGEST_NAME:
        return f"has {size} bytes; a device's name has 1 to {LONGEST_NAME}"
    if name in (".", "..") or any(letter in "/:\0" or letter.isspace() for letter in name):
        return "is '.' or '..', or has '/', ':' or white space"
    return ""


def environment() -> dict[str, str]:
    """Return the variables of this process, as os.environ has them."""
    coding = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
    return {name.decode(*coding): value.decode(*coding) for name, value in posix.environ.items()}
