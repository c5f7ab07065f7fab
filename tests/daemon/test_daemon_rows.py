"""A fact is one row: with that row, and nothing else, it is wherever facts are shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from privatebus import PrivateBus

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("rowsadded.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a failoverd says that has the fact "luck" of everything, and the field "luck_seconds" in every signal."""
    where = tmp_path_factory.mktemp("rows")
    with PrivateBus(where) as bus:
        command = [sys.executable, str(PROGRAM), str(where), bus.address]
        found = {
            "PYTHONPATH": f"{PROGRAM.parents[1]}:{ROOT / 'tools' / 'docs'}",
            "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
        }
        done = subprocess.run(command, env=os.environ | found, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_property_is_on_dbus(said: Any) -> None:
    assert said["properties"] == [41, 42, 43]
    assert [row[-1] for row in said["explained"]] == [44]
    assert '<property name="Luck" type="t" access="read">' in said["introspected"][0]
    assert "A luck of 42." in said["introspected"][0]


def test_it_is_in_json(said: Any) -> None:
    document = said["json"]
    (master,) = document["masters"]
    assert [one["luck"] for one in (document, master, master["primary"])] == [41, 42, 43]
    assert {row["luck"] for row in document["nics"]} == {44}


def test_it_is_in_the_metrics(said: Any) -> None:
    lines = said["metrics"].splitlines()
    assert "failoverd_luck 41" in lines
    assert 'failoverd_master_luck{master="ens3"} 42' in lines
    assert 'failoverd_slave_luck{master="ens3",slave="ens3nsby",role="standby"} 43' in lines
    assert "# HELP failoverd_master_luck A luck of 42." in lines
    assert 'failoverd_luck_seconds_sum{master="ens3"} 4.5' in lines


def test_it_is_in_the_reference_pages(said: Any) -> None:
    assert "| `Luck` | `t` | A luck of 43. |" in said["reference"]
    assert ".I luck\n(number that only grows) A luck of 41." in said["manual"]
    assert "| `failoverd_slave_luck` | gauge |" in said["tables"]["metrics"]


def test_a_field_of_a_signal_is_on_dbus(said: Any) -> None:
    body = said["heard"][-1][3]
    assert body[6] == 4.5, "behind the fields there are, before time and monotonic"
    assert said["last"]["LuckSeconds"] == 4.5
    assert "- `luck_seconds`: A luck of 4.5." in said["reference"]


def test_it_is_in_the_journal_the_history_and_a_hooks_environment(said: Any) -> None:
    assert "FAILOVERD_LUCK_SECONDS=4.500000" in said["journal"].splitlines()
    assert said["hook"]["FAILOVERD_LUCK_SECONDS"] == "4.500000"
    assert said["history"][0]["luck_seconds"] == 4.5


def test_it_is_in_the_pages_about_them(said: Any) -> None:
    for table in ("fields", "roff-fields"):
        assert "FAILOVERD_LUCK_SECONDS" in said["tables"][table]
    assert "A luck of 4.5." in said["tables"]["fields"]
    assert ".I luck_seconds" in said["manual"]


def test_one_fact_has_one_name(said: Any) -> None:
    """Whatever a hook, the journal and the history know of an event, they call by the same names."""
    hook = {key.removeprefix("FAILOVERD_").lower() for key in said["hook"]}
    known = {key.removeprefix("FAILOVERD_").lower() for key, value in said["hook"].items() if value}
    journal = {line.partition("=")[0] for line in said["journal"].splitlines()}
    assert known == {key.removeprefix("FAILOVERD_").lower() for key in journal if key.startswith("FAILOVERD_")}
    assert known == said["history"][0].keys() - {"boot"}
    last = {key.lower() for key in said["last"]}
    assert last == {key.replace("_", "") for key in hook - {"event", "master", "mac", "time"}}
