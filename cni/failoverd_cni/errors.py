"""Error objects of the CNI specification, and their codes."""

from __future__ import annotations

import sys

INCOMPATIBLE_VERSION = 1
UNSUPPORTED_FIELD = 2
UNKNOWN_CONTAINER = 3
INVALID_VARIABLES = 4
INVALID_JSON = 6
INVALID_NETCONF = 7
INVALID_NAMESPACE = 8
TRY_AGAIN = 11
NO_DAEMON = 50
LIMITED = 51
CHECK_FAILED = 101
KERNEL = 999
"""The specification reserves codes below 100. 101 and 999 are this plugin's; other CNI plugins use 999 as well."""


class CniError(Exception):
    """A command has failed."""

    def __init__(self, code: int, msg: str, details: str = "") -> None:
        super().__init__(msg)
        self.code = code
        """One of the codes above, or the code that an IPAM plugin answered."""
        self.msg = msg
        """What failed, and on which device or key."""
        self.details = details
        """What more is known: what to do about it, or what could not be taken back."""

    def document(self, version: str) -> dict[str, object]:
        """Return the error object."""
        found: dict[str, object] = {"cniVersion": version, "code": self.code, "msg": self.msg}
        return found | {"details": self.details} if self.details else found


def warn(text: str) -> None:
    """Write a line to stderr, which runtimes put into their log. stdout has nothing but the result."""
    if sys.stderr is not None:
        sys.stderr.write(f"failoverd-cni: {text}\n")
