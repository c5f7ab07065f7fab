"""Whether a systemd unit runs, will run, or cannot, from the links that systemd and systemctl keep."""

from __future__ import annotations

from pathlib import Path

INVOCATION = "run/systemd/units/invocation:"
"""The prefix, before a unit's name, of a link that exists while it runs (its src/core/unit.c,
unit_export_invocation_id)."""
PLACES = ("etc/systemd/system", "run/systemd/system")
"""The administrator's units, and those made anew at every boot."""


def is_running(unit: str, root: Path) -> bool:
    """Return whether systemd records the unit as running."""
    return leads_to(root / f"{INVOCATION}{unit}") is not None


def is_masked_unit(unit: str, root: Path) -> bool:
    """Return whether the unit is masked, so that nothing can start it."""
    return any(leads_to(root / place / unit) == Path("/dev/null") for place in PLACES)


def enabled_by(unit: str, root: Path) -> Path | None:
    """Return the link that starts the unit, as `systemctl enable` makes it; None without one."""
    for place in PLACES:
        for wants in sorted((root / place).glob("*.wants")):
            if leads_to(wants / unit):
                return wants / unit
    return None


def leads_to(path: Path) -> Path | None:
    """Return the target of a link; None if there is no link, or none that failoverd can see."""
    try:
        return path.readlink()
    except OSError:
        return None
