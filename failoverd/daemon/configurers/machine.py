"""Conditions of systemd's files on the whole machine: [Match] Host=, KernelVersion= and the like (its condition.c)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from failoverd.daemon.configurers.patterns import WordError, matches, words

CONDITIONS = ["Host", "Virtualization", "KernelCommandLine", "KernelVersion", "Credential", "Architecture", "Firmware"]
ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
OPERATOR = re.compile(r"[<>=!~$]|(?:eq|ne|lt|le|gt|ge)$")
ARCHITECTURES: Mapping[str, str] = {
    "x86_64": "x86-64",
    "i686": "x86",
    "i386": "x86",
    "aarch64": "arm64",
    "ppc64le": "ppc64-le",
    "ppc64": "ppc64",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loongarch64",
}


def holds(key: str, value: str, root: Path) -> bool | None:
    """Return whether a condition holds here; None if failoverd cannot know (a hypervisor or a credential)."""
    is_so = _is_so(key, value.removeprefix("!"), root)
    return is_so if is_so is None else is_so != value.startswith("!")


def _is_so(key: str, value: str, root: Path) -> bool | None:
    match key:
        case "Host":
            return _is_host(value, root)
        case "KernelCommandLine":
            return _is_on_command_line(value, root)
        case "KernelVersion":
            return _is_release(value, root)
        case "Architecture" if value == "native":
            return True
        case "Architecture":
            ours = ARCHITECTURES.get(os.uname().machine)
            return value == ours if ours else None
        case "Firmware" if value == "uefi":
            return (root / "sys/firmware/efi").is_dir()
    return None


def _is_host(value: str, root: Path) -> bool | None:
    if ID.fullmatch(value):
        machine = _read(root / "etc/machine-id")
        return None if machine is None else machine.strip() == value.replace("-", "").lower()
    found = _read(root / "proc/sys/kernel/hostname")
    return None if found is None else matches(value.lower(), found.strip().lower())


def _is_on_command_line(value: str, root: Path) -> bool | None:
    found = _read(root / "proc/cmdline")
    if found is None:
        return None
    try:
        said = list(words(found, quotes=True, escapes="keep"))
    except WordError:
        return None
    return value in said if "=" in value else any(word.partition("=")[0] == value for word in said)


def _is_release(value: str, root: Path) -> bool | None:
    """Return whether the kernel's release matches the patterns; None for comparisons, which have rules of their own."""
    found = _read(root / "proc/sys/kernel/osrelease")
    try:
        wanted = list(words(value, quotes=True))
    except WordError:
        return None
    if found is None or any(OPERATOR.match(word) for word in wanted):
        return None
    return all(matches(word, found.strip()) for word in wanted)


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None
