"""The CNI plugin's pages say what it reads and answers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import failoverd_cni
from failoverd_cni import add, errors, pod, versions

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "cni.md").read_text()
PAGE = ROOT / "cni" / "man" / "failoverd-cni.7"
READ = re.findall(r'_typed\((?:self\.)?keys, "(\w+)"', (ROOT / "cni" / "failoverd_cni" / "netconf.py").read_text())
PLAIN = {"runtimeConfig", "prevResult"}
"""What the specification has, and its runtimes."""


def words(page: Path) -> str:
    """A page without its macros and escapes."""
    return re.sub(r"\\f[BIR]|\\&", "", page.read_text()).replace("\\-", "-")


def test_every_key_is_told_and_no_other() -> None:
    section = REFERENCE.partition("## Keys")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(READ) - PLAIN
    manual = words(PAGE).partition(".SH NETWORK CONFIGURATION")[2].partition(".SH IPAM")[0]
    assert [key for key in set(READ) - PLAIN if not re.search(rf"^\.BR? {key}\b", manual, re.MULTILINE)] == []


def test_every_code_is_told_and_no_other() -> None:
    codes = {str(value) for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert set(re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)) == codes
    manual = words(PAGE).partition(".SH ERROR CODES")[2].partition(".SH FILES")[0]
    assert set(re.findall(r"(?:^|; )(\d+) ", manual, re.MULTILINE)) == codes


def test_numbers_are_the_codes() -> None:
    assert f"{pod.PATIENCE:g} s at most" in REFERENCE
    assert f"the metric {add.METRIC} plus the VLAN's id" in (ROOT / "docs" / "how-to-cni.md").read_text()
    assert [version for version in versions.SUPPORTED if version not in REFERENCE] == []
    assert f'version = "{failoverd_cni.__version__}"' in (ROOT / "cni" / "pyproject.toml").read_text()


def test_roff_has_nothing_to_say() -> None:
    command = ["groff", "-man", "-ww", "-z", "-Tutf8", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
