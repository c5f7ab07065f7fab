"""The base of all requests. Each request knows its own facts, so that no other module has a table by type."""

from __future__ import annotations

import errno
from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import ClassVar

from failoverd.dataclass import dataclass

NameOf = Callable[[int], str]
"""A device's name by its ifindex."""

ADVICE = {
    errno.EBUSY: "another program holds it, or it is up on a kernel before 6.2; see failoverctl explain",
    errno.EPERM: "failoverd needs CAP_NET_ADMIN; start it by its systemd unit or as root",
    errno.EOPNOTSUPP: "this kernel or driver cannot do it; load the bonding module, or look for the driver's limits",
    errno.EEXIST: "the name is taken; free it or choose another in [naming]",
    errno.ENODEV: "the device is gone; nothing needs to be done",
}
"""The next step for the administrator, by the kernel's errno."""


LIMITS = "the driver refuses the master's settings; compare the MTU of the master with what the VF can do"
"""The next step where a NIC does not become a slave, or does not come up (EINVAL)."""


class Weight(Enum):
    """The cost of trying a refused request again, which decides how long to wait before that."""

    SMALL = "small"
    """It disturbs nothing. Tried again soon: the obstacle may be gone soon."""

    BIG = "big"
    """It creates, joins or removes devices, which disturbs others. Tried again after the configured wait."""

    SWITCH = "switch"
    """It moves the traffic to another slave. Tried again soon, and never much later: the traffic may wait for it."""


class Request:
    """One change asked of the kernel; a frozen dataclass, and the key by which its refusals are remembered."""

    __slots__ = ()

    weight: ClassVar[Weight] = Weight.SMALL

    harmless: ClassVar[frozenset[int]] = frozenset()
    """The errnos that mostly mean that it is so already. They are not worth a line in the log."""

    watched: ClassVar[bool] = False
    """Whether another program may undo it at once, again and again.

    During a move, a batch of nothing but these counts as tried even where the kernel carried it out.
    """

    regained: ClassVar[bool] = False
    """Whether it gives a device back something that was lost. Once the move is over, that is rarely tried."""

    setting: ClassVar[bool] = False
    """Whether it writes one of a device's settings (model/settings.py).

    The kernel, the driver or another program may hold another value. So a setting that was written counts as tried, and
    a refusal is not logged.
    """

    untold: ClassVar[bool] = False
    """Whether the kernel may send no RTM_NEWLINK about the change, so that the devices have to be queried."""

    @property
    @abstractmethod
    def devices(self) -> frozenset[int]:
        """The ifindexes of the devices that it is about."""

    @abstractmethod
    def describe(self, name_of: NameOf) -> str:
        """Describe the change, with the devices' names."""

    def refused(self, number: int, text: str, name_of: NameOf) -> str:
        """Describe a refusal for the administrator: device, action, the kernel's errno and text, the next step."""
        return f"{self.describe(name_of)} failed: {answer(number, text)}; {self.advice(number)}"

    def undone(self, name_of: NameOf) -> str:
        """Describe the case that the kernel carried it out, and it does not last."""
        return f"{self.describe(name_of)} was done, and is undone again; look for another program that manages it"

    bounded: ClassVar[bool] = False
    """Whether the driver may refuse it because its NIC cannot do what the master does."""

    def advice(self, number: int) -> str:
        """Return the administrator's next step when the kernel refuses it with this errno."""
        if self.bounded and number == errno.EINVAL:
            return LIMITS
        return ADVICE.get(number, "see the kernel's log (dmesg)")


@dataclass(frozen=True, slots=True)
class OfDevice(Request):
    """A request about one device."""

    ifindex: int

    @property
    def devices(self) -> frozenset[int]:
        """The device."""
        return frozenset((self.ifindex,))


def answer(number: int, text: str) -> str:
    """Describe the kernel's answer: the errno's name, and the kernel's own text if it gave one."""
    return f"{errno.errorcode.get(number, str(number))}{f' ({text})' if text else ''}"


def some(*ifindexes: int) -> frozenset[int]:
    """Return these devices without 0, which is none."""
    return frozenset(ifindexes) - {0}
