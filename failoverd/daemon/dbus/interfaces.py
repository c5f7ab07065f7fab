"""failoverd's D-Bus interfaces: every method, property, signal and error, with types and units.

Properties come from the tables of core/document.py, signals from core/signal_table.py; the methods are here.
Introspection, argument checks and docs/reference/dbus.md are made from this. It holds nothing that does not work: a
client that finds a method may call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from failoverd.bus.interfaces import Arg, BusSignal, Interface, Method, Property
from failoverd.core.document import DAEMON, LAST_FAILOVER, NIC
from failoverd.core.document import MASTER as MASTER_FACTS
from failoverd.core.document import SLAVE as SLAVE_FACTS
from failoverd.core.link_facts import COUNTERS
from failoverd.core.link_facts import LINK as LINK_FACTS
from failoverd.core.signal_table import SIGNALS, WHEN
from failoverd.core.told import Member, Told
from failoverd.model.facts import Row, Table, Type, camel, sentence

NAME = "org.failoverd1"
ROOT = "/org/failoverd1"
ERROR = f"{NAME}.Error"

EVER = ("TimedOut", "Failed")
"""The errors that any call may return."""

NONE = {Type.SLAVE: " / for none.", Type.OBJECT: " / for none.", Type.RECORD: " Empty before the first."}
"""What stands for null, which D-Bus does not have; for a number it is 0."""

INTERFACE_NAME = "Its name, alternative name, MAC if no other interface has it, or ifindex, in this order."


def members(told: Told) -> Iterator[tuple[Member, tuple[Row[Any], ...]]]:
    """Yield the D-Bus signals for this event, with the rows that are their arguments."""
    for member in told.members:
        yield member, (*(row for row in told.fields if row.key not in member.known), *WHEN)


def _properties(table: Table[Any], asked: bool = False) -> tuple[Property, ...]:
    return tuple(
        Property(camel(row.key), row.type.signature, _doc(row), row.constant, asked, asked) for row in table.rows
    )


def _signals(interface: str) -> tuple[BusSignal, ...]:
    return tuple(
        BusSignal(member.name, told.text, tuple(Arg(row.key, row.type.signature, _doc(row)) for row in rows))
        for told in SIGNALS.values()
        for member, rows in members(told)
        if member.interface == interface
    )


def _doc(row: Row[Any]) -> str:
    text = sentence(row) + NONE.get(row.type, "")
    if row.type is Type.RECORD:
        within = ", ".join(f"{camel(one.key)} ({one.type.signature})" for one in LAST_FAILOVER)
        return f"{text} It has {within}."
    return f"{text} 0 for none." if row.optional else text


MANAGER = Interface(
    f"{NAME}.Manager",
    f"{DAEMON.text} Its object is also the ObjectManager of all others.",
    methods=(
        Method(
            "Explain",
            "What was made of every NIC, and why.",
            takes=(Arg("nic", "s", "A device's name, alternative name, MAC or ifindex; an empty text for all."),),
            gives=(
                Arg(
                    "nics",
                    f"a({''.join(row.type.signature for row in NIC.rows)})",
                    f"For each device its {', '.join(row.key for row in NIC.rows[:-1])} and {NIC.rows[-1].key}.",
                ),
            ),
            errors=("NoSuchDevice", *EVER),
        ),
        Method(
            "Adopt",
            "Join a pair now, also one that was released. Returns when this has begun; the master's State tells more.",
            takes=(Arg("nic", "s", "The master or a slave, by name, alternative name, MAC or ifindex."),),
            gives=(Arg("master", "o", "The object the pair has, or will have when it is joined."),),
            changes=True,
            errors=("NoSuchPair", *EVER),
        ),
        Method(
            "RenameLink",
            "Give a device of a pair another name. Returns when the kernel has confirmed it. Configuration files that "
            "have the old name in them stay as they are.",
            takes=(
                Arg("nic", "s", "The master or a slave, by name, alternative name, MAC or ifindex."),
                Arg("new_name", "s", "Its new name: 1 to 15 bytes without /, :, % and white space."),
            ),
            changes=True,
            errors=("NoSuchPair", "NoSuchDevice", "NotJoined", "InvalidName", "NameTaken", "Busy", *EVER),
        ),
        Method(
            "Reload",
            "Read the configuration anew, as SIGHUP does. Returns when it is taken.",
            gives=(Arg("changes", "as", "What is different now, a line for each key."),),
            changes=True,
            errors=("ConfigurationInvalid", *EVER),
        ),
    ),
    properties=_properties(DAEMON),
    signals=_signals("Manager"),
)

NAMESPACE = Arg(
    "namespace",
    "s",
    "Its name below /run/netns, or pid:N, path:P, container:C as failoverctl move takes it; empty for failoverd's own.",
)

MASTER = Interface(
    f"{NAME}.Master",
    f"{MASTER_FACTS.text} Its path ends in the pair's MAC.",
    methods=(
        Method(
            "Drain",
            "Lead the traffic to the standby, so that the VF can be taken away. Returns when it is there and the "
            "neighbours have been told. It ends with the next VF that is plugged in, with Undrain, or by itself.",
            takes=(Arg("seconds", "u", "After so many seconds it ends by itself, up to a million; 0 for never."),),
            changes=True,
            errors=("NoSuchPair", "NotJoined", "NoStandby", "NotDrained", "JoinedByKernel", "BadArgument", *EVER),
        ),
        Method(
            "Undrain",
            "End a drain. Returns when this has begun; the VF carries again after its hold-down.",
            changes=True,
            errors=("NoSuchPair", "NotDrained", "NotJoined", "JoinedByKernel", *EVER),
        ),
        Method(
            "ResetDamping",
            "Forget how often the VF has failed. Returns when this has begun; a VF that was suppressed carries again "
            "after its hold-down.",
            changes=True,
            errors=("NoSuchPair", "NotJoined", "JoinedByKernel", *EVER),
        ),
        Method(
            "SwitchTo",
            "Have this slave carry the traffic. Returns when it does. To the standby it is a drain without a time; to "
            "the VF it ends a drain and skips the hold-down.",
            takes=(Arg("slave", "o", "The object of the slave."),),
            changes=True,
            errors=(
                *("NoSuchPair", "NoSuchSlave", "Unfit", "NotJoined", "NoStandby", "NotDrained", "JoinedByKernel"),
                *EVER,
            ),
        ),
        Method(
            "Release",
            "Give the pair's devices back as they were before. Returns when this has begun; State tells the end.",
            changes=True,
            errors=("NoSuchPair", "AlreadyReleased", "JoinedByKernel", *EVER),
        ),
        Method(
            "Move",
            "Move the master, with what stands on it, into another network namespace, or home. Returns when it is "
            "there; an error says why it was refused, or turned back. Where the namespace is not there, returns at "
            "once: MovePending says so, and the master moves when it comes.",
            takes=(NAMESPACE,),
            changes=True,
            errors=("NoSuchPair", "NotJoined", "JoinedByKernel", "Busy", "BadArgument", *EVER),
        ),
        Method(
            "PlanMove",
            "What Move would do, device by device. It is root's, as it tells what is in another network namespace.",
            takes=(NAMESPACE,),
            changes=True,
            gives=(
                Arg("refused", "s", "Why it would be refused; empty where nothing keeps the master."),
                Arg(
                    "devices",
                    "a(ssssasas)",
                    "For each device its name, its kind, how it moves (cloned, moved or refused), why it keeps the "
                    "master where it is, what goes along, and what does not.",
                ),
            ),
            errors=("NoSuchPair", "NotJoined", "JoinedByKernel", "Busy", "BadArgument", *EVER),
        ),
    ),
    properties=_properties(MASTER_FACTS),
    signals=_signals("Master"),
)

SLAVE = Interface(
    f"{NAME}.Slave",
    f"{SLAVE_FACTS.text} Its path ends in its ifindex, so it is the same object under another name.",
    properties=_properties(SLAVE_FACTS),
    signals=_signals("Slave"),
)

LINK = Interface(
    f"{NAME}.Link",
    f"{LINK_FACTS.text} GetManagedObjects has none of the values of its properties: read them. With each signal of a "
    "link PropertiesChanged names, without values, the properties that may be others now. Its path ends in its name, "
    "escaped as sd_bus_path_encode(3) does: what is no letter or digit, and a digit at the beginning, as _ and two "
    "hexadecimal digits. So web-host is web_2dhost.",
    methods=(
        Method(
            "GetStatistics",
            "The counters of its device, as the kernel has them now. Empty while there is no device.",
            gives=(Arg("counters", "a{st}", f"{', '.join(map(camel, COUNTERS))}, from the device's own side."),),
            errors=("NoSuchLink", *EVER),
        ),
        Method(
            "Resync",
            "Look at it again, and try at once what was refused or waits. Returns when this has begun.",
            changes=True,
            errors=("NoSuchLink", *EVER),
        ),
        Method(
            "Release",
            "Take it out of failoverd's care, and leave its device as it is. Returns when this has begun.",
            changes=True,
            errors=("NoSuchLink", *EVER),
        ),
    ),
    properties=_properties(LINK_FACTS, asked=True),
    signals=_signals("Link"),
)

INVENTORY = Interface(
    f"{NAME}.Inventory",
    "Every network interface of the machine, also those that failoverd has nothing to do with: the answers of "
    "failoverctl interfaces and interface-xml. A change made before a call is in its answer. Nothing is followed while "
    "no client asks, so the first call takes longer than the next ones.",
    methods=(
        Method(
            "List",
            "The interfaces, by name.",
            takes=(Arg("flags", "u", "1 for inactive ones, 2 for active ones, as libvirt has it; 3 or 0 for all."),),
            gives=(
                Arg(
                    "interfaces",
                    "a(sbsu)",
                    "For each its name, whether it is active (up and running; of a bridge, up), its MAC (empty for "
                    "none) and its ifindex. Bytes of a name that are no UTF-8 and characters that cannot be printed "
                    "are escaped as failoverctl shows them; the other methods take such a name.",
                ),
            ),
            errors=("BadArgument", "Failed"),
        ),
        Method(
            "XML",
            "The live XML document of an interface, as libvirt's virsh iface-dumpxml has it.",
            takes=(Arg("name", "s", INTERFACE_NAME),),
            gives=(Arg("document", "s", "The document, an interface element by libvirt's schema."),),
            errors=("NoSuchInterface", "SeveralInterfaces", "NoDocument", "Failed"),
        ),
        Method(
            "Describe",
            "All facts about an interface.",
            takes=(Arg("name", "s", INTERFACE_NAME),),
            gives=(
                Arg(
                    "facts",
                    "a{sv}",
                    "The facts of failoverctl interfaces --json by their D-Bus names: PermanentMac, Gateway4, ... What "
                    "is null there, as it is not known or there is none, is left out. Ipv4 and Ipv6 are lists of "
                    "dictionaries with Address (s) and Prefix (u).",
                ),
            ),
            errors=("NoSuchInterface", "SeveralInterfaces", "Failed"),
        ),
    ),
    properties=(
        Property(
            "Generation",
            "t",
            "A number that is another one after each change of anything that the methods tell. No PropertiesChanged "
            "tells of it: read it to find out whether a list is still true.",
            asked=True,
        ),
        Property(
            "Sure",
            "b",
            "False where the kernel told more than failoverd could take in, and something may be missing in the "
            "answers; ask again in a moment. No PropertiesChanged tells of it.",
            asked=True,
        ),
    ),
)

INTERFACES = (MANAGER, MASTER, SLAVE, LINK, INVENTORY)
