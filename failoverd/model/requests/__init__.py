"""The requests that failoverd may make of a machine: one class for each kind.

No other code ever changes a device, so this folder is the whole list of what can happen to a machine. A class knows its
own facts (base.py). Beside it stand its writer, a row of netlink/requests.py, and its prediction, a row of
plan/predict/.
"""

from failoverd.model.requests.base import NameOf, OfDevice, Request, Weight
from failoverd.model.requests.inet import (
    AddAddress,
    AddLabel,
    AddNeighbour,
    AddRoute,
    AddRule,
    DropAddress,
    DropRoute,
    DropRule,
    SetAttribute,
    SetLinkLocal,
    SetSysctl,
)
from failoverd.model.requests.links import (
    AddAltname,
    ChangeLink,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAltname,
    HearAll,
    MoveLink,
    Rename,
    SetActive,
    SetAllMulticast,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
    TryMaster,
)
from failoverd.model.requests.tc import AddClsact, AddQdisc, AddRedirect, DropClsact, DropRedirect

__all__ = [
    "AddAddress",
    "AddAltname",
    "AddClsact",
    "AddLabel",
    "AddNeighbour",
    "AddQdisc",
    "AddRedirect",
    "AddRoute",
    "AddRule",
    "ChangeLink",
    "CreateLink",
    "DeleteLink",
    "DeleteMarked",
    "DropAddress",
    "DropAltname",
    "DropClsact",
    "DropRedirect",
    "DropRoute",
    "DropRule",
    "HearAll",
    "MoveLink",
    "NameOf",
    "OfDevice",
    "Rename",
    "Request",
    "SetActive",
    "SetAllMulticast",
    "SetAttribute",
    "SetLinkLocal",
    "SetMac",
    "SetMaster",
    "SetMtu",
    "SetPromiscuous",
    "SetSysctl",
    "SetUp",
    "TryMaster",
    "Weight",
]
