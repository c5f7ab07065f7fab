"""Predictions of what the kernel does with a request: the devices, addresses and routes after it, or the errno.

`--dry-run` lets the daemon go on from here instead of sending anything. The tests of plan and core build a machine from
it (tests/toykernel.py), and add what the world does: plugs, wires, other programs. Only what the daemon looks at is
predicted; that much is held to the real kernel and to the simulated one, request by request
(tests/contract/test_contract_predict.py).

A further kind of request is a function and a row in PREDICTIONS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddLabel,
    AddNeighbour,
    AddQdisc,
    AddRedirect,
    AddRoute,
    AddRule,
    ChangeLink,
    CreateLink,
    DeleteLink,
    DeleteMarked,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    DropRoute,
    DropRule,
    HearAll,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetAttribute,
    SetLinkLocal,
    SetMac,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetSysctl,
    SetUp,
    TryMaster,
)
from failoverd.plan.predict import addresses, devices, masters, new, routes, tc
from failoverd.plan.predict.machine import Machine, RefusedError

PREDICTIONS: dict[type[Request], Callable[[Machine, Any], None]] = {
    CreateLink: new.create,
    ChangeLink: devices.change,
    DeleteLink: masters.delete,
    DeleteMarked: masters.delete_marked,
    MoveLink: masters.move,
    SetUp: lambda machine, r: masters.set_up(machine, r.ifindex, r.up),
    SetMtu: lambda machine, r: devices.set_mtu(machine, r.ifindex, r.mtu),
    SetMac: devices.set_mac,
    Rename: devices.rename,
    SetMaster: lambda machine, r: masters.set_master(machine, r.ifindex, r.master),
    TryMaster: lambda machine, r: masters.set_master(machine, r.ifindex, r.master),
    SetActive: masters.set_active,
    HearAll: masters.hear_all,
    AddAltname: devices.add_altname,
    DropAltname: devices.drop_altname,
    AddAddress: addresses.add,
    DropAddress: addresses.drop,
    AddRoute: routes.add,
    DropRoute: routes.drop,
    AddNeighbour: addresses.add_neighbour,
    AddLabel: addresses.add_label,
    AddRule: routes.add_rule,
    DropRule: routes.drop_rule,
    SetAttribute: addresses.set_setting,
    SetSysctl: addresses.set_setting,
    SetAllMulticast: devices.set_all_multicast,
    SetPromiscuous: devices.set_promiscuous,
    SetLinkLocal: devices.set_link_local,
    AddClsact: tc.add_clsact,
    DropClsact: tc.drop_clsact,
    AddQdisc: tc.add_qdisc,
    AddRedirect: tc.add_redirect,
    DropRedirect: tc.drop_redirect,
}
"""One row for each kind of request. A test checks that none is missing."""


def predict(machine: Machine, request: Request) -> int:
    """Apply the request to the machine. Returns the errno, 0 where the kernel does it; notifications are added to
    `news`.
    """
    try:
        PREDICTIONS[type(request)](machine, request)
    except RefusedError as error:
        return error.number
    return 0
