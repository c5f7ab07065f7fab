"""What `failoverctl status` and `explain` show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from failoverd import __version__
from failoverd.config.spec import Config
from failoverd.core.matching import rejudge
from failoverd.core.move import Move
from failoverd.core.state import PairState, State
from failoverd.core.status import hardware, nics, status
from failoverd.core.work import Refusal
from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Goal, Journal
from failoverd.model.requests import SetMaster
from failoverd.model.signals import FailedOver
from failoverd.policy.naming import mark, new_mark, passing_name

MAC = "52:54:00:aa:bb:cc"
LO = Link(1, "lo", hardware=772, up=True)
NIC = Link(2, "ens3nsby", MAC, MAC, up=True, carrier=True, master=9, bus="virtio", driver="virtio_net")
VF = Link(3, "ens4", MAC, MAC, up=True, carrier=True, master=9, bus="pci", parent="0000:00:04.0", driver="mlx5_core")
MASTER = Link(
    9, "ens3", MAC, up=True, carrier=True, kind="bond", info=Bond(1, 3, 100, 1), altnames=frozenset({mark(MAC)})
)


def seen(*links: Link, state: str = "accelerated") -> State:
    """A machine as the daemon sees it, every pair in this state."""
    found = State(Config(), links=LinkTable(links), synced=True)
    rejudge(found)
    for pair in found.pairs.values():
        pair.state = state
    return found


def only_master(state: State) -> dict[str, Any]:
    (master,) = status(state)["masters"]
    assert isinstance(master, dict)
    return master


def row(state: State, name: str) -> dict[str, Any]:
    (found,) = (row for row in nics(state) if row["name"] == name)
    return found


def test_a_joined_pair() -> None:
    document = status(seen(LO, NIC, VF, MASTER))
    assert document["version"] == __version__
    assert document["masters"] == [
        {
            "name": "ens3",
            "ifindex": 9,
            "mac": MAC,
            "datapath": "bond",
            "state": "accelerated",
            "reason": "",
            "conditions": [],
            "namespace": "",
            "wanted_namespace": "",
            "wanted_by": "",
            "move_pending": "",
            "active": "ens4",
            "primary": {
                "name": "ens4",
                "ifindex": 3,
                "master": "ens3",
                "role": "primary",
                "mac": MAC,
                "driver": "mlx5_core",
                "parent_device": "0000:00:04.0",
                "active": True,
                "up": True,
                "carrier": True,
                "carrier_losses": 0,
                "fit": True,
                "path": "not-probed",
                "mtu": 1500,
            },
            "standby": {
                "name": "ens3nsby",
                "ifindex": 2,
                "master": "ens3",
                "role": "standby",
                "mac": MAC,
                "driver": "virtio_net",
                "parent_device": "",
                "active": False,
                "up": True,
                "carrier": True,
                "carrier_losses": 0,
                "fit": True,
                "path": "not-probed",
                "mtu": 1500,
            },
            "drained": False,
            "drain_ends": None,
            "flaps": 0,
            "penalty": 0,
            "suppressed": False,
            "suppressed_until": None,
            "mtu": 1500,
            "failovers": 0,
            "last_failover": None,
        }
    ]


def test_every_device_but_loopback_has_its_verdict() -> None:
    rows = nics(seen(LO, NIC, VF, MASTER, Link(5, "br0", "02:00:00:00:00:01", kind="bridge")))
    assert [(row["name"], row["mac"], row["verdict"]) for row in rows] == [
        ("ens3nsby", MAC, "paired"),
        ("ens4", MAC, "paired"),
        ("br0", "02:00:00:00:00:01", "ignored"),
        ("ens3", MAC, "paired"),
    ]
    assert rows[2]["reason"] == "it is a bridge device; only hardware NICs are paired"


def test_after_steps_only_hardware_is_told_of() -> None:
    state = seen(LO, NIC, VF, MASTER, Link(5, "br0", "02:00:00:00:00:01", kind="bridge"))
    everything = status(state)
    assert hardware(state) == {**everything, "nics": [row for row in everything["nics"] if row["bus"]]}
    assert len(hardware(state)["nics"]) == 2


def test_a_device_that_has_gone_since_it_was_judged_is_not_shown() -> None:
    state = seen(NIC, VF, MASTER)
    del state.links[3]
    assert [row["name"] for row in nics(state)] == ["ens3nsby", "ens3"]


@pytest.mark.parametrize("vf", [replace(VF, carrier=False), replace(VF, up=False)])
def test_a_slave_that_cannot_carry_is_not_fit(vf: Link) -> None:
    master = only_master(seen(NIC, vf, MASTER))
    assert master["primary"]["fit"] is False
    assert master["standby"]["fit"] is True


def test_who_is_not_enslaved_is_no_slave() -> None:
    master = only_master(seen(NIC, replace(VF, master=0), replace(MASTER, info=Bond(1, 2, 100, 1))))
    assert master["primary"] is None
    assert master["active"] == "ens3nsby"


def test_a_master_nobody_carries_for() -> None:
    assert only_master(seen(MASTER))["active"] is None


def test_a_master_on_its_way_in_has_the_name_it_will_have() -> None:
    passing = replace(MASTER, name=passing_name(MAC), altnames=frozenset({mark(MAC), new_mark(MAC)}))
    nic = replace(NIC, name="ens3", master=0)
    assert only_master(seen(nic, VF, passing, state="joining"))["name"] == "ens3"
    assert only_master(seen(VF, passing, state="joining"))["name"] == ""


def test_a_pair_without_a_master_is_shown_when_there_is_something_to_say() -> None:
    nic = replace(NIC, name="ens3", master=0)
    assert status(seen(nic, state="alone"))["masters"] == []
    master = only_master(seen(nic, state="released"))
    assert (master["name"], master["ifindex"], master["mtu"]) == ("ens3", 0, 0)
    assert (master["active"], master["primary"], master["standby"]) == (None, None, None)


@pytest.mark.parametrize("state", ["released", "degraded"])
def test_what_is_remembered_of_a_pair_that_is_not_here_is_no_master(state: str) -> None:
    machine = seen(LO)
    machine.pairs[MAC] = PairState(MAC, held=True, state=state)
    assert status(machine)["masters"] == []


def test_a_pair_whose_devices_went_in_the_middle_of_a_move_is_still_shown() -> None:
    state = seen()
    state.pairs[MAC] = PairState(
        MAC, state="joining", move=Move(journal=Journal(MAC, Goal.JOINED, "ens3", True, 1500, cut=True))
    )
    master = only_master(state)
    assert (master["name"], master["mac"], master["state"]) == ("", MAC, "joining")


def test_a_master_is_shown_whatever_is_thought_of_its_pair() -> None:
    assert only_master(seen(NIC, VF, MASTER, state="alone"))["name"] == "ens3"


def test_pairs_come_in_a_steady_order() -> None:
    macs = ("52:54:00:00:00:02", "52:54:00:00:00:01")
    state = seen(*(Link(i, f"ens{i}", mac, mac, bus="virtio") for i, mac in enumerate(macs, 2)), state="released")
    assert [master["mac"] for master in status(state)["masters"]] == ["52:54:00:00:00:01", "52:54:00:00:00:02"]


def test_the_last_failover() -> None:
    state = seen(NIC, VF, MASTER)
    pair = state.pairs[MAC]
    pair.failovers.count = 2
    why = "the VF has been steady"
    pair.failovers.last = FailedOver("ens3", "ens3nsby", "ens4", why, 12.5, MAC, 2, 3, 0.002, "primary")
    master = only_master(state)
    assert master["failovers"] == 2
    assert master["last_failover"] == {
        "from": "ens3nsby",
        "from_ifindex": 2,
        "to": "ens4",
        "to_ifindex": 3,
        "to_role": "primary",
        "reason": "the VF has been steady",
        "silence_seconds": 0.002,
        "namespace": None,
        "monotonic": 12.5,
    }


def refuse(pair: PairState) -> None:
    pair.work.refusals[SetMaster(3, 9)] = Refusal(1, "enslave ens4 to ens3 failed: EBUSY", until=10.0)


def hold(pair: PairState) -> None:
    pair.held = True


def undo(pair: PairState) -> None:
    pair.move.undo_reason = "ens4 cannot be enslaved"


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (refuse, "; enslave ens4 to ens3 failed: EBUSY"),
        (hold, "; released by an administrator; failoverctl adopt joins it again"),
        (undo, "; ens4 cannot be enslaved"),
        (lambda _pair: None, ""),
    ],
)
def test_explain_adds_what_stands_in_the_way(trouble: Callable[[PairState], None], words: str) -> None:
    state = seen(replace(NIC, name="ens3", master=0), replace(VF, master=0))
    trouble(state.pairs[MAC])
    assert row(state, "ens4")["reason"] == f"same permanent MAC {MAC} as ens3{words}"


def test_a_nic_that_was_refused_keeps_its_own_reason() -> None:
    state = seen(NIC, VF, replace(VF, ifindex=4, name="ens5", master=0), MASTER)
    hold(state.pairs[MAC])
    assert row(state, "ens5")["verdict"] == "refused"
    assert row(state, "ens5")["reason"] == f"{MAC} has its pair already"


def test_a_refusal_is_told_of_the_device_it_is_about() -> None:
    state = seen(NIC, replace(VF, master=0), MASTER)
    refuse(state.pairs[MAC])
    assert "EBUSY" in row(state, "ens4")["reason"]
    assert "EBUSY" not in row(state, "ens3nsby")["reason"]


def test_only_what_carries_and_would_be_cut_off_without_us_is_at_risk() -> None:
    assert not seen(NIC, VF, MASTER).at_risk()
    assert not seen(replace(NIC, master=0), replace(VF, master=0)).at_risk(), "not joined yet"
    assert not seen().at_risk()
