"""What a story cannot mean, and what becomes of one that a world refuses on the way."""

from __future__ import annotations

import random

import pytest
import trio

from failoverd_lab.parse import ScenarioError, parse
from failoverd_lab.runner import run
from failoverd_lab.sense import MOST_PROBES
from failoverd_lab.sim import SimWorld
from failoverd_lab.world import CannotTell

HEAD = 'name = "a-story"\nstory = "Something happens."\n'
PV = '[[nic]]\nid = "pv"\nbus = "virtio"\nmac = "52:54:00:fa:11:01"\n'
VF = '[[nic]]\nid = "vf"\nbus = "pci"\nmac = "52:54:00:fa:11:01"\n'
SEEN = "[[then]]\nsee.masters = 1\n"


def tell(text: str) -> None:
    world = SimWorld(progress=lambda _text: None)
    trio.run(run, parse(text.encode(), "s.toml"), world, clock=world.clock)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'{HEAD}{PV}name = "ens3"\n{VF}name = "ens3"\n{SEEN}', 's.toml:12: nic.name: "ens3" is pv\'s name too;'),
        (f"{HEAD}{PV}plugged = false\n{VF}{SEEN}", "s.toml:7: nic.plugged: the machine's addresses are on pv at the"),
        (f"{HEAD}{VF}plugged = false\n{SEEN}", "s.toml:7: nic.plugged: the machine's addresses are on vf at the start"),
        (f"{HEAD}[config.bond]\n\nmiimon = 1\n{PV}{VF}{SEEN}", "s.toml:5: config.bond.miimon: 1 is too small; give a"),
        (f"{HEAD}[config.master]\nfoo = 1\n{PV}{VF}{SEEN}", "s.toml:4: config.master.foo: no such key; the keys of"),
        (f"{HEAD}config.master = 5\n{PV}{VF}{SEEN}", "s.toml:3: config.master: 5 is no section; write [master]"),
        (f"{HEAD}config.x.y = 5\n{PV}{VF}{SEEN}", "s.toml:3: config.x: no such section; the sections are [master]"),
        (
            f"{HEAD}{PV}{VF}max_mtu = 2000\n{SEEN}[[then]]\ndo = 'mtu'\nnic = 'vf'\nmtu = 2001\n",
            "s.toml:16: then.nic: the driver of vf takes an MTU of 2000 bytes at most (max_mtu)",
        ),
        (
            f"{HEAD}{PV}{VF}{SEEN}[[then]]\ndo = 'address'\naddress = 'fe80::1%2/64'\n",
            's.toml:15: then.address: "fe80::1%2/64" is not one; give an address with its prefix length',
        ),
        (
            f"{HEAD}rate = 10000\n{PV}{VF}{SEEN}wait = 3600\n",
            f"s.toml:3: rate: 3605 s of story at 10000 probes a second are more than {MOST_PROBES} probes; give a",
        ),
    ],
)
def test_it_is_refused_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text.encode(), "s.toml")
    assert str(caught.value).splitlines()[0].startswith(expected)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("'rename'\nnic = 'vf'\nname = 'ens3'", "s.toml:13: rename vf ens3: it is refused: "),
        ("'rename-link'\nnic = 'vf'\nname = 'ens3'", "s.toml:13: rename-link vf ens3: it is refused: "),
        ("'release'", "s.toml:13: release: the step speaks of the master, and the daemon has 0"),
        ("'address'\naddress = '10.111.0.2/24'\npresent = true", "s.toml:13: address 10.111.0.2/24 added: "),
    ],
)
def test_what_the_kernel_or_the_daemon_refuses_is_told_with_the_line(do: str, expected: str) -> None:
    """A kernel cannot be foreseen: it is asked."""
    alone = do == "'release'"
    text = f"{HEAD}{PV}{VF if not alone else VF.replace('fa:11:01', 'fa:11:02')}[[then]]\nwait = 3\ndo = {do}\n{SEEN}"
    with pytest.raises(CannotTell) as caught:
        tell(text)
    assert str(caught.value).startswith(expected)


def test_a_nic_that_comes_back_by_a_name_that_is_taken() -> None:
    steps = "[[then]]\ndo = 'unplug'\nnic = 'vf'\n[[then]]\ndo = 'rename'\nnic = 'pv'\nname = 'ens4'\n"
    steps += "[[then]]\ndo = 'plug'\nnic = 'vf'\n"
    text = f"{HEAD}{PV}{VF.replace('fa:11:01', 'fa:11:02')}{steps}{SEEN}"
    with pytest.raises(CannotTell, match=r"s\.toml:\d+: (rename|plug) "):
        tell(text)


STEPS = {
    "plug": "nic",
    "unplug": "nic",
    "carrier": "nic up",
    "admin": "nic up",
    "mtu": "nic mtu",
    "address": "address present",
    "rename": "nic name",
    "rename-link": "nic name",
    "foreign-master": "nic",
    "release": "",
    "drain": "",
    "undrain": "",
    "kill-daemon": "",
    "start-daemon": "",
}
VALUES = {
    "nic": ["'pv'", "'vf'"],
    "up": ["true", "false"],
    "mtu": ["68", "1279", "1500", "9000"],
    "address": ["'10.111.0.2/24'", "'192.0.2.7/24'", "'::/0'", "'224.0.0.1/4'", "'fe80::1/64'", "'0.0.0.0/0'"],
    "present": ["true", "false"],
    "name": ["'ens3'", "'ens4'", "'ens3nsby'", "'br-foreign'", "'fo525400fa1101'"],
}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_accepted_can_be_told_or_is_refused_in_words(seed: int) -> None:
    """A traceback is no answer."""
    chance = random.Random(seed)
    told, refusals = 0, []
    while told < 8:
        text = HEAD + PV + VF
        for _ in range(chance.randint(1, 6)):
            do = chance.choice(list(STEPS))
            keys = "".join(f"{key} = {chance.choice(VALUES[key])}\n" for key in STEPS[do].split())
            text += f"[[then]]\ndo = '{do}'\nwait = {chance.choice(['0', '0.5', '3'])}\n{keys}"
        try:
            parse((text + SEEN).encode())
        except ScenarioError:
            continue
        told += 1
        try:
            tell(text + SEEN)
        except CannotTell as why:
            refusals.append(str(why))
    assert all(why.startswith("s.toml:") for why in refusals)
