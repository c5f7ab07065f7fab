"""The network configuration: what a list of plugins says about VLANs and attachments, validated.

Keys that are not known pass: the specification permits it, and Multus adds some.
"""

from __future__ import annotations

from failoverd_cni.errors import INVALID_JSON, INVALID_NETCONF, UNSUPPORTED_FIELD, CniError
from failoverd_cni.fastjson import dumps, loads
from failoverd_cni.inet import mac_bytes
from failoverd_cni.variables import odd_container, odd_name
from failoverd_cni.versions import require

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROTOCOLS = {"802.1Q": 0x8100, "802.1ad": 0x88A8}
"""EtherTypes of a tag (linux/if_ether.h, ETH_P_8021Q and ETH_P_8021AD)."""
LARGEST_ID = 4094
CONTROL = "/run/failoverd/control"
MODES = {
    "vlan": (),
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
    "pair": (),
}
"""What can be attached to a failover master, and the modes of each. `pair` is the master itself."""
NOT_FOR_PAIR = ("vlanId", "mtu", "mac", "vlans")
"""Keys that say how a device is to be made. A master is as it is."""


class Vlan:
    """One interface that the configuration asks for: a VLAN in the pod, or one of MODES on a failover master."""

    __slots__ = (
        "accept_ra",
        "attach",
        "dns",
        "failover",
        "id",
        "ipam",
        "is_tagged",
        "mac",
        "mode",
        "mtu",
        "parent",
        "place",
        "protocol",
        "template",
        "waits",
    )

    def __init__(self, keys: dict[str, Any], place: str, *, alone: bool) -> None:
        """Read its keys. `place` begins the path of each, `alone` is false in a list `vlans`. Raises CniError."""
        self.place = place
        """`vlans[2].`, or empty."""
        self.failover: str = _typed(keys, "failover", str, place) or ""
        """The failover master on the host that it stands on; empty where it stands on an interface in the pod."""
        self.attach = self._attach(keys)
        """One of MODES."""
        self._is_whole(keys)
        self.mode = self._mode(keys)
        """One of its modes; empty for the kernel's first."""
        self.is_tagged = self.attach == "vlan" or not alone or keys.get("vlanId") is not None
        """It has a VLAN's id. A macvlan or ipvlan then stands on that VLAN of the master, which pods share."""
        self.id = self._id(keys) if self.is_tagged else 0
        """0 to 4094."""
        self.protocol = self._protocol(keys)
        """The EtherType of its tag."""
        self.parent = _typed(keys, "master", str, place) or ""
        """The interface it stands on; empty for CNI_IFNAME."""
        if self.parent and (bad := odd_name(self.parent)):
            raise wrong(f"{place}master", self.parent, f"it {bad}")
        usual = "{ifname}" if (self.parent or self.failover) and alone else "{ifname}.{vid}"
        self.template = _typed(keys, "ifName", str, place) or usual
        """Its name, with placeholders."""
        self.mtu = _typed(keys, "mtu", int, place) or 0
        """0 for its parent's."""
        if self.mtu < 0:
            raise wrong(f"{place}mtu", self.mtu, "it is 0 or more")
        self.mac = self._mac(keys)
        """Empty for its parent's."""
        self.waits = self._waits(keys)
        """Duplicate address detection is waited for."""
        self.accept_ra = _typed(keys, "acceptRa", bool, place)
        """False: router advertisements are not heard. None, True: as the kernel does."""
        self.ipam: dict[str, Any] = _typed(keys, "ipam", dict, place) or {}
        """The configuration of its IPAM; empty for none."""
        if self.ipam:
            kind = self.ipam.get("type")
            if not isinstance(kind, str) or not kind or "/" in kind or kind in (".", ".."):
                raise wrong(f"{place}ipam.type", kind, "it is the name of an executable in CNI_PATH")
        self.dns: dict[str, Any] = _typed(keys, "dns", dict, place) or {}
        """What it adds to the result's dns."""

    def name(self, ifname: str) -> str:
        """Return the device's name."""
        return self.template.replace("{ifname}", ifname).replace("{vid}", str(self.id))

    def stands_on(self, ifname: str) -> str:
        """Return the name of the device below it."""
        return self.parent or ifname

    def _id(self, keys: dict[str, Any]) -> int:
        found = _typed(keys, "vlanId", int, self.place)
        if found is None:
            raise CniError(INVALID_NETCONF, f"{self.place}vlanId is missing; it is a number of 0 to {LARGEST_ID}")
        least = 1 if self.failover else 0
        if not least <= found <= LARGEST_ID:
            raise wrong(f"{self.place}vlanId", found, f"it is {least} to {LARGEST_ID}")
        return int(found)

    def _attach(self, keys: dict[str, Any]) -> str:
        """Return what is made, when it is known where."""
        found = _typed(keys, "attach", str, self.place) or "vlan"
        inside = _typed(keys, "linkInContainer", bool, self.place)
        if found not in MODES:
            raise wrong(f"{self.place}attach", found, f"it is one of {', '.join(MODES)}")
        if not self.failover:
            if keys.get("failover") is not None:
                raise wrong(f"{self.place}failover", "", "it is a master's name or MAC, or auto")
            if found != "vlan":
                raise wrong(f"{self.place}attach", found, "it is for failover; in the pod there are VLANs only")
            if not inside:
                text = f"{self.place}linkInContainer {_shown(bool(inside))} without failover is not supported"
                advice = "set linkInContainer: true, or failover; the vlan plugin makes VLANs of other host interfaces"
                raise CniError(UNSUPPORTED_FIELD, text, advice)
        elif inside:
            raise wrong(f"{self.place}linkInContainer", inside, "with failover, the master is on the host")
        elif keys.get("master") is not None:
            raise wrong(f"{self.place}master", keys["master"], "with failover, that is the master; remove one of them")
        return str(found)

    def _is_whole(self, keys: dict[str, Any]) -> None:
        """Raises CniError where a master is to be changed on its way."""
        for key in NOT_FOR_PAIR if self.attach == "pair" else ():
            if keys.get(key) is not None:
                raise wrong(f"{self.place}{key}", keys[key], "with attach pair, the master moves as it is")

    def _mode(self, keys: dict[str, Any]) -> str:
        found = _typed(keys, "mode", str, self.place) or ""
        if self.failover and found and found not in MODES[self.attach]:
            words = ", ".join(MODES[self.attach])
            what = f"it is one of {words}" if words else f"a {self.attach} has none"
            raise wrong(f"{self.place}mode", found, what)
        return str(found) if self.failover else ""

    def _protocol(self, keys: dict[str, Any]) -> int:
        name = _typed(keys, "protocol", str, self.place) or "802.1Q"
        if name not in PROTOCOLS:
            raise wrong(f"{self.place}protocol", name, "it is 802.1Q or 802.1ad")
        return PROTOCOLS[name]

    def _mac(self, keys: dict[str, Any]) -> bytes:
        asked = _typed(keys, "runtimeConfig", dict, "") or {}
        place, text = f"{self.place}mac", _typed(keys, "mac", str, self.place)
        if self.attach == "pair":
            return b""
        if asked.get("mac"):
            place, text = "runtimeConfig.mac", _typed(asked, "mac", str, "runtimeConfig.")
        if not text:
            return b""
        if self.attach == "ipvlan":
            raise wrong(place, text, "an ipvlan has its master's")
        try:
            return mac_bytes(text)
        except ValueError as error:
            raise CniError(INVALID_NETCONF, f"{place}: {error}") from None

    def _waits(self, keys: dict[str, Any]) -> bool:
        found = _typed(keys, "dad", str, self.place) or "wait"
        if found not in ("wait", "skip"):
            raise wrong(f"{self.place}dad", found, "it is wait or skip")
        return bool(found == "wait")


class Netconf:
    """One network configuration, as a runtime passes it on stdin."""

    __slots__ = ("control", "keys", "name", "version", "vlans")

    def __init__(self, text: str, command: str) -> None:
        """Read it for a command. Raises CniError.

        For DEL, VLANs that no ADD can have made are left out, and are no errors: a list that could not be added must be
        deletable, since runtimes stop at the first plugin whose DEL fails.
        """
        self.keys = document(text)
        """All of it, for IPAM plugins."""
        self.version = require(self.keys.get("cniVersion"), command)
        """One of versions.SUPPORTED."""
        self.name: str = self.keys.get("name", "")
        """The network's name."""
        lenient = command == "DEL"
        if not lenient and (not isinstance(self.name, str) or odd_container(self.name)):
            raise wrong("name", self.name, "it begins with a letter or a digit, and has those, '_', '.' and '-'")
        self.control: str = _typed(self.keys, "control", str, "") or CONTROL
        """The path of failoverd's control socket."""
        self.vlans = _lenient(self.keys) if lenient else _strict(self.keys)
        """The VLANs it asks for, in its order."""

    def previous(self) -> dict[str, Any]:
        """Return the result of the plugins before this one; empty where there was none. Raises CniError."""
        found: dict[str, Any] = _typed(self.keys, "prevResult", dict, "") or {}
        for key in ("interfaces", "ips", "routes"):
            rows = _typed(found, key, list, "prevResult.") or []
            for number, row in enumerate(rows):
                if not isinstance(row, dict):
                    raise wrong(f"prevResult.{key}[{number}]", row, "it is an object")
        _typed(found, "dns", dict, "prevResult.")
        return found

    def delegated(self, vlan: Vlan) -> str:
        """Return the configuration for the VLAN's IPAM plugin.

        The specification has the configuration passed unchanged. A device that is not CNI_IFNAME gets a name of its own
        (and `ipam.py` a CNI_IFNAME of its own): host-local keeps one address for each container and interface, in a
        folder by name, so two VLANs would be one owner there.
        """
        keys = {key: value for key, value in self.keys.items() if key != "vlans"} | {"ipam": vlan.ipam}
        if vlan.template != "{ifname}":
            keys["name"] = f"{self.name}.{vlan.id}"
        return dumps(keys)

    def names(self, ifname: str) -> list[str]:
        """Return the devices' names. Raises CniError if the kernel would refuse one, or two are the same."""
        found: list[str] = []
        for vlan in self.vlans:
            name = vlan.name(ifname)
            if bad := odd_name(name):
                raise CniError(
                    INVALID_NETCONF, f"{vlan.place}vlanId {vlan.id}: the name {name!r} {bad}; set {vlan.place}ifName"
                )
            if name in found:
                raise wrong(f"{vlan.place}ifName", name, "another VLAN of this configuration has the name")
            if not vlan.failover and name == vlan.stands_on(ifname):
                raise wrong(
                    f"{vlan.place}master", name, "the VLAN would have the same name; leave master out, or set ifName"
                )
            found.append(name)
        return found


def document(text: str) -> dict[str, Any]:
    """Return a JSON object. Raises CniError."""
    try:
        found = loads(text)
    except (ValueError, RecursionError) as error:
        raise CniError(INVALID_JSON, f"the network configuration on stdin is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise CniError(INVALID_JSON, "the network configuration on stdin is no JSON object")
    return found


def wrong(place: str, value: object, what: str) -> CniError:
    """Return the error for a value: where it is, what it is, what it has to be."""
    return CniError(INVALID_NETCONF, f"{place} {_shown(value)}: {what}")


def _strict(keys: dict[str, Any]) -> list[Vlan]:
    entries = _typed(keys, "vlans", list, "")
    if entries is None:
        return [Vlan(keys, "", alone=True)]
    if not entries:
        raise wrong("vlans", entries, "it has one VLAN at least")
    if "vlanId" in keys:
        raise wrong("vlanId", keys["vlanId"], "with vlans, each VLAN has its own")
    return [_entry(keys, entry, number) for number, entry in enumerate(entries)]


def _lenient(keys: dict[str, Any]) -> list[Vlan]:
    found = []
    try:
        entries = _typed(keys, "vlans", list, "")
        if entries is None:
            return [Vlan(keys, "", alone=True)]
    except CniError:
        return []
    for number, entry in enumerate(entries):
        try:
            found.append(_entry(keys, entry, number))
        except CniError:
            continue
    return found


def _entry(keys: dict[str, Any], entry: object, number: int) -> Vlan:
    """Return a VLAN of the list. What it does not say, the configuration around it does."""
    if not isinstance(entry, dict):
        raise wrong(f"vlans[{number}]", entry, "it is an object")
    return Vlan(keys | entry, f"vlans[{number}].", alone=False)


WORDS = {str: "a string", int: "a whole number", bool: "true or false", dict: "an object", list: "a list"}


def _typed(keys: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """Return a value, None where it is missing or null. Raises CniError for a value of another type."""
    value = keys.get(key)
    if value is None or (isinstance(value, kind) and isinstance(value, bool) is (kind is bool)):
        return value
    raise wrong(f"{place}{key}", value, f"it is {WORDS[kind]}")


def _shown(value: object) -> str:
    text = dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
