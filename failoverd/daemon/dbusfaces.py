"""What failoverd says of itself on D-Bus: every interface, method, property, signal and error, with types and units.

Introspection, the checks of arguments and docs/reference/dbus.md are made from this table. Nothing is in it that does
not work: a client that finds a method may call it.
"""

from __future__ import annotations

from failoverd.bus.faces import Arg, Face, Method, Property, Signal

NAME = "org.failoverd1"
ROOT = "/org/failoverd1"
ERROR = f"{NAME}.Error"

ERRORS: dict[str, str] = {
    "NoSuchDevice": "No device has this name, alternative name, MAC or ifindex.",
    "NoSuchPair": "The device belongs to no pair; Explain says why.",
    "AlreadyReleased": "The pair is released already; Adopt joins it again.",
    "JoinedByKernel": "The kernel's own failover (net_failover) holds the pair, and lets nobody take it apart.",
    "ConfigurationInvalid": "The configuration has mistakes; the text names file and line, and the old one stays.",
    "Failed": "The call failed for a reason that only its text says.",
}
"""The errors' names below org.failoverd1.Error, and what each means."""

MANAGER = Face(
    f"{NAME}.Manager",
    "failoverd itself. Its object is also the ObjectManager of all others.",
    methods=(
        Method(
            "Explain",
            "What was made of every NIC, and why.",
            takes=(Arg("nic", "s", "A device's name, alternative name, MAC or ifindex; an empty text for all."),),
            gives=(
                Arg(
                    "nics",
                    "a(susssss)",
                    "For each its name, ifindex, permanent MAC, driver, bus, verdict (paired, alone, refused, ignored "
                    "or left-alone) and the reason in words.",
                ),
            ),
            errors=("NoSuchDevice",),
        ),
        Method(
            "Adopt",
            "Join a pair now, also one that was released. Returns when this has begun; the master's State tells more.",
            takes=(Arg("nic", "s", "The master or a slave, by name, alternative name, MAC or ifindex."),),
            gives=(Arg("master", "o", "The object the pair has, or will have when it is joined."),),
            changes=True,
            errors=("NoSuchPair",),
        ),
        Method(
            "Reload",
            "Read the configuration anew, as SIGHUP does.",
            changes=True,
            errors=("ConfigurationInvalid",),
        ),
    ),
    properties=(
        Property("Version", "s", "failoverd's version.", constant=True),
        Property("Datapaths", "as", "The ways of joining a pair that this failoverd knows.", constant=True),
    ),
    signals=(
        Signal(
            "LinkRenamed",
            "A device of a pair has another name, as the kernel confirmed.",
            (
                Arg("ifindex", "u", "The device."),
                Arg("old_name", "s", "Its name before."),
                Arg("new_name", "s", "Its name now."),
                Arg("was_up", "b", "Whether it was up (IFF_UP) when it was renamed."),
                Arg("master", "o", "The master of its pair."),
                Arg("role", "s", "What it is in the pair: master, primary or standby."),
            ),
        ),
    ),
)

MASTER = Face(
    f"{NAME}.Master",
    "A pair: the device that has the IP configuration, and its two slaves. Its path ends in the pair's MAC.",
    methods=(
        Method(
            "Release",
            "Give the pair's devices back as they were before. Returns when this has begun; State tells the end.",
            changes=True,
            errors=("AlreadyReleased", "JoinedByKernel", "NoSuchPair"),
        ),
    ),
    properties=(
        Property("Name", "s", "Its name."),
        Property("Ifindex", "u", "Its ifindex, 0 while there is no master."),
        Property("Mac", "s", "The permanent MAC both NICs of the pair have.", constant=True),
        Property("Datapath", "s", "How the pair is joined: bond, tc or net_failover."),
        Property("State", "s", "alone, joining, accelerated, on-standby, degraded, releasing or released."),
        Property("Reason", "s", "Why it is in this state, in words."),
        Property("Active", "o", "The slave that carries the traffic, / for none."),
        Property("Primary", "o", "The VF, / for none."),
        Property("Standby", "o", "The paravirtual NIC, / for none."),
        Property("Mtu", "u", "Bytes; 0 while there is no master."),
        Property("Failovers", "t", "How often the active slave has changed since failoverd was started."),
        Property(
            "LastFailover",
            "a{sv}",
            "The last change of the active slave, empty before the first: From and To (s, names), Reason (s), "
            "MonotonicUsec (t, CLOCK_MONOTONIC in microseconds), SilenceEstimateUsec (t, as in FailedOver).",
        ),
    ),
    signals=(
        Signal(
            "FailedOver",
            "Another slave carries the traffic, as the kernel confirmed.",
            (
                Arg("from", "o", "The slave that carried before, / for none. It may be gone."),
                Arg("to", "o", "The slave that carries now, / for none."),
                Arg("reason", "s", "Why, in words."),
                Arg("monotonic_usec", "t", "When the kernel said so: CLOCK_MONOTONIC in microseconds."),
                Arg(
                    "silence_estimate_usec",
                    "t",
                    "Microseconds from when the kernel told us that the old slave cannot carry until it told us that "
                    "the new one does; 0 where the old one could have gone on. Not in it: what went by before the "
                    "kernel told us, and until the neighbours had learned the way.",
                ),
            ),
        ),
    ),
)

SLAVE = Face(
    f"{NAME}.Slave",
    "A NIC that is joined under a master. Its path ends in its ifindex, so it is the same object under another name.",
    properties=(
        Property("Name", "s", "Its name."),
        Property("Ifindex", "u", "Its ifindex.", constant=True),
        Property("Master", "o", "The pair it belongs to."),
        Property("Role", "s", "primary (the VF) or standby (the paravirtual NIC)."),
        Property("Driver", "s", "Its driver, as ethtool names it."),
        Property("ParentDevice", "s", "Its device on its bus, such as 0000:01:00.0; empty where it has none."),
        Property("Up", "b", "Whether an administrator, or failoverd, has brought it up (IFF_UP)."),
        Property("Carrier", "b", "Whether it has a carrier (IFF_LOWER_UP)."),
        Property("Fit", "b", "Whether it could carry the traffic now."),
        Property("PermanentMac", "s", "Its permanent MAC, which is the pair's.", constant=True),
        Property("Mtu", "u", "Bytes."),
        Property("Speed", "u", "Megabits a second, as the driver says; 0 where it does not know."),
    ),
    signals=(
        Signal(
            "Renamed",
            "It has another name, as the kernel confirmed.",
            (Arg("old_name", "s", "Its name before."), Arg("new_name", "s", "Its name now.")),
        ),
    ),
)

FACES = (MANAGER, MASTER, SLAVE)
