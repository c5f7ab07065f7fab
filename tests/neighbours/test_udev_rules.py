"""What a file of marks can do to a NIC, and what it cannot. Whoever can write such files is not root.

udev is not here: what is applied is the part of its language that the rules use, as systemd 252 and 257 have it. That
the real one takes every line, and marks NICs so, is shown in a guest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

RULES = Path(__file__).parents[2] / "udev-rules" / "70-failoverd.rules"
TOKEN = re.compile(r'([A-Z]+)(?:\{([^}]+)\})?(==|!=|=)"([^"]*)"(?:, |$)')
MAC = "52:54:00:fa:11:01"
VF = {"ACTION": "add", "SUBSYSTEM": "net", "DRIVERS": "mlx5_core", "id": "0000:01:00.0"}
MARKS = "NM_UNMANAGED=1\nFAILOVERD_MASTER=ens3\nFAILOVERD_ROLE=primary\n"
MARKED = {"NM_UNMANAGED": "1", "FAILOVERD_MASTER": "ens3", "FAILOVERD_ROLE": "primary"}
ORDERS = {
    "SYSTEMD_WANTS": "evil.service",
    "SYSTEMD_USER_WANTS": "evil.service",
    "SYSTEMD_ALIAS": "/evil",
    "MODALIAS": "evil",
    **dict.fromkeys(("PATH", "LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "PYTHONPATH", "PERL5OPT"), "/evil"),
}


class Event:
    """One device on its way through the rules."""

    def __init__(self, device: Mapping[str, str], properties: Mapping[str, str], files: Mapping[str, str]) -> None:
        self._device = device
        self._files = files
        self.properties = dict(properties)

    def run(self) -> dict[str, str]:
        lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
        at = 0
        while at < len(lines):
            tokens = TOKEN.findall(lines[at])
            assert TOKEN.sub("", lines[at]) == "", f"this is no rule: {lines[at]}"
            label = self._line(tokens)
            at = lines.index(f'LABEL="{label}"') if label else at + 1
        return self.properties

    def _line(self, tokens: list[tuple[str, ...]]) -> str:
        """Matches come before assignments, wherever they stand; the label it leads to."""
        for key, attribute, operator, value in tokens:
            if operator != "=" and fnmatchcase(self._known(key, attribute), value) != (operator == "=="):
                return ""
        for key, attribute, operator, value in tokens:
            if key == "IMPORT" and not self._import(self._expanded(value)):
                return ""
            if key == "ENV" and operator == "=" and value:
                self.properties[attribute] = self._expanded(value)
            elif key == "ENV" and operator == "=":
                self.properties.pop(attribute, None)
        return next((value for key, _, _, value in tokens if key == "GOTO"), "")

    def _known(self, key: str, attribute: str) -> str:
        if key == "ENV":
            return self.properties.get(attribute, "")
        return {"address": MAC}.get(attribute, "") if key == "ATTR" else self._device.get(key, "")

    def _expanded(self, value: str) -> str:
        value = value.replace("$attr{address}", MAC).replace("$id", self._device["id"])
        value = value.replace("$driver", self._device["DRIVERS"])
        return re.sub(r"\$env\{([^}]+)\}", lambda found: self.properties.get(found[1], ""), value)

    def _import(self, path: str) -> bool:
        name = path.removeprefix("/run/failoverd/udev/")
        for line in self._files.get(name, "").splitlines():
            key, separator, value = line.strip().partition("=")
            if separator and key.strip() and not key.startswith("#"):
                self.properties[key.strip()] = value.strip()
        return name in self._files


def forged() -> str:
    """Whatever would be an order, and every name that the rules themselves keep something under."""
    kept = re.findall(r"ENV\{([^}]*failoverd[^}]*)\}", RULES.read_text())
    return MARKS + "".join(f"{key}={value}\n" for key, value in {**ORDERS, **dict.fromkeys(kept, "evil")}.items())


@pytest.mark.parametrize("name", [MAC, f"{MAC}-0000:01:00.0", f"{MAC}-mlx5_core"])
def test_a_file_of_marks_marks_and_orders_nothing(name: str) -> None:
    assert Event(VF, {}, {name: forged()}).run() == MARKED


@pytest.mark.parametrize("text", [MARKS, forged()])
def test_what_others_have_ordered_before_stays_ordered(text: str) -> None:
    earlier = {"SYSTEMD_WANTS": "good.service other.service", "SYSTEMD_USER_WANTS": "good.service", "PATH": "/usr/bin"}
    earlier |= {"SYSTEMD_ALIAS": "/sys/good", "MODALIAS": "good:*", "SYSTEMD_READY": "1"}
    assert Event(VF, earlier, {MAC: text}).run() == earlier | MARKED
    assert Event(VF, earlier, {}).run() == earlier


@pytest.mark.parametrize("other", [{"ACTION": "remove"}, {"SUBSYSTEM": "block"}, {"DRIVERS": ""}])
def test_what_is_not_marked_is_left_as_it_is(other: dict[str, str]) -> None:
    earlier = {"SYSTEMD_WANTS": "good.service", "PATH": "/usr/bin"}
    assert Event({**VF, **other}, earlier, {MAC: forged()}).run() == earlier


def test_nothing_is_run_for_a_mark() -> None:
    keys = {key for line in RULES.read_text().splitlines() if line[:1] != "#" for key, *_ in TOKEN.findall(line)}
    assert keys == {"ACTION", "SUBSYSTEM", "ATTR", "DRIVERS", "ENV", "IMPORT", "GOTO", "LABEL"}
