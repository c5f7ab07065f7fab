"""systemd-networkd: whether the file that configures a NIC would also configure the bond in its place.

The first file whose [Match] holds, by the files' names, configures a device (systemd.network(5)). So failoverd goes
through the files as networkd does (its networkd-network.c): of all folders, with masks and drop-ins, each against the
NIC as it is and against the bond. If the first one that matches either matches both, the bond is configured as the NIC
was.

While networkd runs, its state file of the NIC names the .network file it has applied. Both that file and the one that
matches the NIC now have to agree with the bond's: files changed since are applied when networkd is restarted. Anything
unknown (a file that cannot be read, a condition about credentials) is taken to lose the master, as tc is never wrong.

tests/vm/test_networkd_match.py compares this with networkd's own choice among the same files, on Debian 12 and 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from failoverd.daemon.configurers.devices import Device
from failoverd.daemon.configurers.files import UnreadableError, assignments, content, is_masked, listed, with_drop_ins
from failoverd.daemon.configurers.match import Match
from failoverd.daemon.configurers.units import is_masked_unit, is_running

UNIT = "systemd-networkd.service"
FOLDER = "systemd/network"
OURS = "00-0-failoverd-"
"""The prefix of the files of failoverd's package: they unmanage slaves."""
NOTES = "run/systemd/netif/links"
"""networkd's state files, by ifindex (its src/network/networkd-state-file.c)."""
YES = ("1", "yes", "y", "true", "t", "on")
LONGEST = 80
"""Characters of a list of patterns that are shown."""


class Network(NamedTuple):
    """A .network file with its drop-ins. `trouble` is why its content is unknown."""

    path: Path
    match: Match
    is_unmanaged: bool = False
    is_certain: bool = True
    trouble: str = ""

    def matches(self, device: Device) -> bool:
        """Return whether it matches this device, as far as it can be read."""
        return not self.trouble and not self.match.miss(device)


def bond_obstacle(nic: Device, bond: Device, ifindex: int, root: Path) -> str:
    """Return why a bond would not be configured as the NIC is, or ""."""
    if is_masked_unit(UNIT, root) and not is_running(UNIT, root):
        return ""
    try:
        networks = loaded(root)
    except UnreadableError as error:
        return _unknown(str(error))
    named = nic.name != bond.name and any(one.matches(bond) and not one.is_unmanaged for one in networks)
    if named:
        # The administrator has given the master a name of its own, and a file for that.
        return ""
    applied = _applied(ifindex, root) if is_running(UNIT, root) else ""
    if applied in {network.path.name for network in networks}:
        if why := _difference(networks, nic, bond, lambda network: network.path.name == applied):
            return why
        networks = [network for network in networks if not network.trouble]
    return _difference(networks, nic, bond, lambda network: bool(network.trouble) or network.matches(nic))


def loaded(root: Path) -> list[Network]:
    """Return the files that networkd loads, in their order; the first match configures a device. Raises
    UnreadableError."""
    return [found for path in listed(root, FOLDER, ".network") if (found := _network(path, root)) is not None]


def _difference(networks: Sequence[Network], nic: Device, bond: Device, is_nics: Callable[[Network], bool]) -> str:
    """Return what configures one of the two and not the other, or "". Nothing configures an unmanaged device."""
    waiting = {"nic", "bond"}
    for number, network in enumerate(networks):
        hits = {"nic"} if is_nics(network) else set()
        hits = waiting & (hits | {"bond"} if network.matches(bond) else hits)
        if not hits or (len(hits) == 2 and not network.is_certain):
            continue
        if len(hits) == 2:
            return ""
        if not network.is_unmanaged:
            return _sentence(network, nic, bond, "nic" in hits)
        if not network.is_certain and (why := _difference(networks[number + 1 :], nic, bond, is_nics)):
            return why
        waiting -= hits
    return ""


def _sentence(network: Network, nic: Device, bond: Device, is_nics: bool) -> str:
    if network.trouble:
        return _unknown(network.trouble)
    key = network.match.miss(bond if is_nics else nic)
    if not key:
        return f"{network.path} would configure a bond called {bond.name}, and is not what configures {nic.name}"
    said = network.match.text(key)
    shown = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    where = network.match.places.get(key, network.path)
    if is_nics:
        return f"{where} matches {nic.name} by {shown}, and no bond"
    return f"{where} would match a bond called {bond.name}, and by {shown} not {nic.name}"


def _unknown(trouble: str) -> str:
    return f"{trouble}, and it is not known whether systemd-networkd would configure a bond as it does the NIC"


def _network(path: Path, root: Path) -> Network | None:
    """Return one file; None if networkd does not load it."""
    match, is_unmanaged = Match(), False
    if path.name.startswith(OURS) or is_masked(path):
        return None
    try:
        for file in with_drop_ins(path, root, FOLDER):
            text = content(file)
            if text is None and file == path:
                return None
            for said in assignments(file, text or ""):
                if said.section == "Match":
                    match.take(said)
                elif (said.section, said.key) == ("Link", "Unmanaged"):
                    is_unmanaged = said.value.lower() in YES
    except UnreadableError as error:
        return Network(path, match, is_certain=False, trouble=str(error))
    except ValueError:
        return None
    is_loaded = match.is_loaded(root)
    return None if is_loaded is False else Network(path, match, is_unmanaged, is_loaded is True)


def _applied(ifindex: int, root: Path) -> str:
    """Return the name of the file that networkd has applied to a device, "" if it does not say."""
    try:
        lines = (root / NOTES / str(ifindex)).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = next((line for line in lines if line.startswith("NETWORK_FILE=")), "")
    return Path(found.partition("=")[2].strip("\"'")).name
