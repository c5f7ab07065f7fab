"""What cloud-init is shown of a pair. That the real one takes it so is for the matrix to say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "neighbours" / "cloud-init" / "sitecustomize.py"
MAC, OTHER = "52:54:00:fa:11:01", "52:54:00:00:00:09"
SLAVES = [("enp1s0nsby", MAC, "virtio_net", "0x1"), ("enp2s0", MAC, "vmxnet3", "0x2")]
ALONE = ("enp3s0", OTHER, "virtio_net", "0x1")


def status(tmp_path: Path, document: object, ends: int = 0) -> str:
    """A failoverctl that knows one call."""
    script = tmp_path / "failoverctl"
    answer = f"cat <<'END'\n{json.dumps(document)}\nEND\nexit {ends}\n"
    script.write_text(f"#!/bin/sh\n[ \"$*\" = '--json status' ] || exit 9\n{answer}")
    script.chmod(0o755)
    return str(script)


def master(name: str, primary: str | None, standby: str | None) -> dict[str, Any]:
    slaves = {"primary": primary and {"name": primary}, "standby": standby and {"name": standby}}
    return {"name": name, "mac": MAC, **slaves}


@pytest.fixture
def patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, as any other Python would import it, beside a bond of two."""
    spec = importlib.util.spec_from_file_location("patch", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "cloudinit" not in sys.modules
    there = {"masters": [master("enp1s0", "enp2s0", "enp1s0nsby")], "nics": []}
    monkeypatch.setattr(module, "FAILOVERCTL", status(tmp_path, there))
    return module


def shown(patch: ModuleType, rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = patch.showing_masters(lambda *_args, **_kwargs: rows)(blacklist_drivers=["x"])
    return found


def test_a_bond_is_one_nic_by_its_masters_name(patch: ModuleType) -> None:
    assert shown(patch, [*SLAVES, ALONE]) == [ALONE, ("enp1s0", MAC, "virtio_net", "0x1")]


def test_where_the_paravirtual_nic_is_the_master_only_the_vf_is_hidden(
    patch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"masters": [master("enp1s0", "enp2s0", "enp1s0")], "nics": []}
    monkeypatch.setattr(patch, "FAILOVERCTL", status(tmp_path, there))
    rows = [("enp1s0", MAC, "virtio_net", "0x1"), SLAVES[1]]
    assert shown(patch, rows) == rows[:1]


@pytest.mark.parametrize("ends", [0, 4, 5])
def test_a_master_without_a_vf_or_degraded_is_shown_too(
    patch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: int
) -> None:
    """The exit code says how the pairs are."""
    there = {"masters": [master("enp1s0", None, "enp1s0nsby")], "nics": []}
    monkeypatch.setattr(patch, "FAILOVERCTL", status(tmp_path, there, ends))
    assert shown(patch, SLAVES[:1]) == [("enp1s0", MAC, "virtio_net", "0x1")]


@pytest.mark.parametrize(("document", "ends"), [({"masters": [], "nics": []}, 0), ({}, 0), ({"masters": []}, 3)])
def test_without_a_pair_or_an_answer_nothing_is_changed(
    patch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: object, ends: int
) -> None:
    monkeypatch.setattr(patch, "FAILOVERCTL", status(tmp_path, document, ends))
    config = {"version": 2, "ethernets": {"lan": {"match": {"macaddress": MAC}}}}
    assert shown(patch, SLAVES) == SLAVES
    assert patch.by_name(config) == config
    monkeypatch.setattr(patch, "FAILOVERCTL", str(tmp_path / "nothing"))
    assert shown(patch, SLAVES) == SLAVES


def test_a_match_of_a_pairs_mac_becomes_its_masters_name(patch: ModuleType) -> None:
    ethernets: dict[str, dict[str, Any]] = {
        "lan": {"match": {"macaddress": MAC.upper()}, "set-name": "lan0", "dhcp4": True},
        "enp1s0": {"match": {"macaddress": MAC}, "mtu": 1400},
        "other": {"match": {"macaddress": OTHER}, "set-name": "other0"},
        "plain": {"dhcp4": True},
    }
    vlans = {"v": {"id": 5, "link": "lan"}}
    given = {"version": 2, "ethernets": ethernets, "vlans": vlans}
    assert patch.by_name(given) == {
        "version": 2,
        "vlans": vlans,
        "ethernets": {
            "lan": {"match": {"name": "enp1s0"}, "dhcp4": True},
            "enp1s0": {"mtu": 1400},
            "other": ethernets["other"],
            "plain": ethernets["plain"],
        },
    }
    assert given["ethernets"] is ethernets
    assert "set-name" in ethernets["lan"]
    assert patch.by_name({"version": 2, "vlans": vlans}) == {"version": 2, "vlans": vlans}


def nic(name: str, mac: str, bus: str, verdict: str = "alone") -> dict[str, str]:
    return {"name": name, "mac": mac, "bus": bus, "verdict": verdict}


def test_a_nic_that_is_to_have_a_name_is_matched_by_it_before_it_has_a_vf(
    patch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored = nic("ens9", "52:54:00:00:00:0a", "virtio", "ignored")
    nics = [nic("lan0", MAC, "virtio"), nic("enp2s0", OTHER, "pci"), ignored]
    monkeypatch.setattr(patch, "FAILOVERCTL", status(tmp_path, {"masters": [], "nics": nics}))
    assert shown(patch, SLAVES) == SLAVES
    ethernets = {f"n{i}": {"match": {"macaddress": row["mac"]}, "set-name": "lan0"} for i, row in enumerate(nics)}
    found = patch.by_name({"version": 2, "ethernets": ethernets})["ethernets"]
    assert found == ethernets | {"n0": {"match": {"name": "lan0"}}}
    plain = {"version": 2, "ethernets": {"n0": {"match": {"macaddress": MAC}}}}
    assert patch.by_name(plain) == plain
    rows = [{"type": "physical", "name": "lan0", "mac_address": MAC}]
    assert patch.by_name({"version": 1, "config": rows})["config"] == [{"type": "physical", "name": "lan0"}]


def test_version_1_too(patch: ModuleType) -> None:
    rows = [
        {"type": "physical", "name": "lan0", "mac_address": MAC, "subnets": []},
        {"type": "physical", "name": "other0", "mac_address": OTHER},
        {"type": "bond", "name": "b", "mac_address": MAC},
        {"type": "nameserver"},
    ]
    found = patch.by_name({"version": 1, "config": rows})
    assert found["config"] == [{"type": "physical", "name": "enp1s0", "subnets": []}, *rows[1:]]


def test_any_other_python_and_a_cloud_init_of_another_shape_are_left_as_they_are(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(SOURCE.parent), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-c", "import os, sys; print('cloudinit' in sys.modules, os.environ['PYTHONPATH'])"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"False {SOURCE.parent}\n", "")
    program = tmp_path / "cloud-init"
    program.write_text("import os; print('PYTHONPATH' in os.environ)\n")
    done = subprocess.run([sys.executable, str(program)], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert done.stderr.startswith("failoverd: cloud-init is not as known, and will see a pair as two NICs: ")
