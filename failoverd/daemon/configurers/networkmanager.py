"""NetworkManager: whether it is at work. It activates a profile for Ethernet on Ethernet NICs, and never on a bond.

It runs if the directory of its devices' states exists, or systemd's record of its unit does. /run/NetworkManager alone
proves nothing: netplan also writes there if systemd-networkd does the work, and may have closed it to all users but
root. It will run if the link that `systemctl enable` makes exists, unless its unit is masked. If it is installed and
leaves every NIC alone, failoverd still chooses tc.
"""

from __future__ import annotations

from pathlib import Path

from failoverd.daemon.configurers.units import INVOCATION, enabled_by, is_masked_unit, is_running

RUNNING = "run/NetworkManager/devices"
"""NMRUNDIR "/devices", made at NetworkManager's start (its src/core/nm-config.h, NM_CONFIG_DEVICE_STATE_DIR)."""
UNIT = "NetworkManager.service"


def bond_obstacle(root: Path) -> str:
    """Return why a bond is not the right choice beside NetworkManager, or ""."""
    fact = _at_work(root)
    return f"NetworkManager {fact}, and its profiles for Ethernet cannot follow a NIC to a bond" if fact else ""


def _at_work(root: Path) -> str:
    if _is_dir(root / RUNNING):
        return f"runs (there is {root / RUNNING})"
    if is_running(UNIT, root):
        return f"runs (there is {root / f'{INVOCATION}{UNIT}'})"
    if is_masked_unit(UNIT, root):
        return ""
    wants = enabled_by(UNIT, root)
    return f"is enabled (there is {wants})" if wants else ""


def _is_dir(path: Path) -> bool:
    """Return whether it is a directory that failoverd can see, as failoverd is not root."""
    try:
        return path.is_dir()
    except OSError:
        return False
