"""What failoverd says of itself on D-Bus: every interface, method, property, signal and error, with types and units.

Introspection, the checks of arguments and docs/reference/dbus.md are made from this table. Nothing is in it that does
not work: a client that finds a method may call it.
"""

from __future__ import annotations

from failoverd.bus.faces import Arg, Face, Method, Property, Signal

NAME = "org.failoverd1"
ROOT = "/org/failoverd1"
ERROR = f"{NAME}.Error"

EVER = ("TimedOut", "Failed")
"""What any call may end in."""

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
        Property("Drained", "b", "Whether somebody has led the traffic off the VF, by Drain or SwitchTo."),
        Property("DrainEnds", "t", "When that ends by itself: CLOCK_MONOTONIC in microseconds; 0 for never."),
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
        Property("CarrierLosses", "t", "How often it has lost its carrier since it was plugged in."),
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
