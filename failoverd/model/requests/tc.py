"""Requests about traffic control: the clsact qdisc, and the filters that redirect a device's traffic."""

from __future__ import annotations

import errno
from typing import ClassVar

from failoverd.dataclass import dataclass
from failoverd.model.links import Qdisc
from failoverd.model.requests.base import NameOf, OfDevice, Weight, some


@dataclass(frozen=True, slots=True)
class AddClsact(OfDevice):
    """Add a clsact qdisc to the device's ingress slot."""

    harmless: ClassVar = frozenset({errno.EEXIST})

    def describe(self, name_of: NameOf) -> str:
        return f"add a clsact qdisc to {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class DropClsact(OfDevice):
    """Remove it, with all its filters."""

    harmless: ClassVar = frozenset({errno.ENOENT, errno.EINVAL})

    def describe(self, name_of: NameOf) -> str:
        return f"drop the clsact qdisc of {name_of(self.ifindex)}"


@dataclass(frozen=True, slots=True)
class AddQdisc(OfDevice):
    """Make a root qdisc in place of the present one."""

    qdisc: Qdisc

    def describe(self, name_of: NameOf) -> str:
        return f"give {name_of(self.ifindex)} {self.qdisc}"


@dataclass(frozen=True, slots=True)
class AddRedirect(OfDevice):
    """Redirect everything that passes a hook ("ingress", "egress") of a device to the same hook of another one."""

    weight: ClassVar = Weight.SWITCH
    harmless: ClassVar = frozenset({errno.EEXIST, errno.ENOSPC})

    hook: str
    target: int

    @property
    def devices(self) -> frozenset[int]:
        """The device and the target of its traffic."""
        return some(self.ifindex, self.target)

    def describe(self, name_of: NameOf) -> str:
        return f"redirect the {self.hook} of {name_of(self.ifindex)} to that of {name_of(self.target)}"


@dataclass(frozen=True, slots=True)
class DropRedirect(OfDevice):
    """Remove failoverd's filter from a hook: all of its priority, or only this handle where others share it."""

    weight: ClassVar = Weight.SWITCH
    harmless: ClassVar = frozenset({errno.ENOENT, errno.EINVAL})

    hook: str
    handle: int = 0

    def describe(self, name_of: NameOf) -> str:
        return f"drop the redirection on the {self.hook} of {name_of(self.ifindex)}"
