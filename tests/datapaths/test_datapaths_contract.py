"""Every file in failoverd/datapaths keeps the contract of a datapath, and the contract is one that finds defects."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from datapathcontract import CHECKS
from onefile import DEFECTS, OneFile

import failoverd.datapaths
from failoverd.core.datapath_choice import DATAPATHS
from failoverd.datapaths.adopted import Adopted
from failoverd.datapaths.base import Datapath

MODULES = [
    importlib.import_module(f"failoverd.datapaths.{info.name}")
    for info in pkgutil.iter_modules(failoverd.datapaths.__path__)
]
EVERY: dict[str, Datapath] = {m.DATAPATH.name: m.DATAPATH for m in MODULES if hasattr(m, "DATAPATH")}
JOINING = [name for name, datapath in EVERY.items() if not isinstance(datapath, Adopted)]


def test_every_datapath_can_be_chosen() -> None:
    assert DATAPATHS == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_a_datapath_has_all_that_is_asked_of_one(name: str) -> None:
    """With the arguments of the protocol, in their order."""
    methods = {key: value for key, value in vars(Datapath).items() if inspect.isfunction(value) and key[0] != "_"}
    assert methods
    for key, wanted in methods.items():
        found = inspect.signature(getattr(type(EVERY[name]), key))
        assert list(found.parameters) == list(inspect.signature(wanted).parameters), key


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", JOINING)
def test_the_contract(name: str, check: str) -> None:
    CHECKS[check](EVERY[name])


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_datapath_in_one_file_keeps_it(check: str) -> None:
    CHECKS[check](OneFile())


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_single_defect_is_found(defect: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[DEFECTS[defect]](OneFile(defect))


def test_only_a_bond_needs_bonding_and_can_be_cloned() -> None:
    ways = {name: datapath.without_bonding() for name, datapath in EVERY.items()}
    assert ways == {name: "" if name == "bond" else f"joining by {name}" for name in EVERY}
    assert {name for name, datapath in EVERY.items() if not datapath.clone_obstacle()} == {"bond"}


def test_only_what_the_kernel_would_not_leave_is_at_risk() -> None:
    for datapath in EVERY.values():
        assert datapath.is_at_risk(3, 3) == bool(datapath.vf_refusal_at_end())
        assert not datapath.is_at_risk(2, 3)
