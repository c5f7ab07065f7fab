"""The versions of the CNI specification, and what each has."""

from __future__ import annotations

from failoverd_cni.errors import INCOMPATIBLE_VERSION, CniError

SUPPORTED = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = SUPPORTED[-1]
SINCE = {"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}
"""The commands that not every version has, and the version that introduced each."""


def at_least(version: str, other: str) -> bool:
    """Tell whether a supported version is `other` or a later one."""
    return SUPPORTED.index(version) >= SUPPORTED.index(other)


def require(version: object, command: str) -> str:
    """Return the version of a network configuration. Raises CniError if it, or the command in it, is not supported."""
    if version is None:
        text = "cniVersion is missing, which means 0.1.0"
        raise CniError(INCOMPATIBLE_VERSION, text, f"supported: {', '.join(SUPPORTED)}")
    if not isinstance(version, str) or version not in SUPPORTED:
        raise CniError(
            INCOMPATIBLE_VERSION, f"cniVersion {version!r} is not supported", f"supported: {', '.join(SUPPORTED)}"
        )
    since = SINCE.get(command, version)
    if not at_least(version, since):
        raise CniError(INCOMPATIBLE_VERSION, f"cniVersion {version} has no {command}; {since} has")
    return version
