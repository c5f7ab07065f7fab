"""The manual pages: complete, and as roff wants them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import controlfake
import pytest

from failoverd.cli import client, commands, daemon, historyfile, hooks, libvirt, libvirtsource, netns
from failoverd.cli.links.table import COMMANDS as LINKS
from failoverd.config.keys import header, table
from failoverd.config.spec import Config
from failoverd.core import document
from failoverd.core.link_facts import COUNTERS, LINK
from failoverd.daemon import hooks as daemon_hooks
from failoverd.libvirt import rows
from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Moment, Released
from failoverd.netns import protocol

PAGES = Path(__file__).parents[2] / "docs" / "man"
CHECKS = [["groff", "-man", "-ww", "-z", "-Tutf8"], ["mandoc", "-Tlint", "-Wwarning"]]


def words(page: str) -> str:
    """A page without its macros and escapes."""
    text = re.sub(r"\\f[BIR]|\\&", "", (PAGES / page).read_text())
    return text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\")


def test_failoverctl_is_told_in_full() -> None:
    text = words("failoverctl.8")
    for name, command in commands.COMMANDS.items():
        assert f".TP\n{' '.join([name, *command.takes])}\n" in text
        for said, _ in command.examples:
            assert f"failoverctl {said}" in text
    for name, command in LINKS.items():
        assert f".TP\n{' '.join([name, *command.takes])}\n" in text
        for said, _ in command.examples:
            assert f"failoverctl links {said}" in text
        for code in command.codes:
            assert f".TP\n.B {code}\n" in text
            assert f"links {name}: {command.codes[code]}" in " ".join(text.split())
    for option in (*commands.CTL.options, *(one for known in commands.COMMANDS.values() for one in known.options)):
        assert re.search(rf"\n.*{option.flag}", text)
    for code in (*commands.EXIT_CODES, *commands.STATUS_CODES):
        assert f".TP\n.B {code}\n" in text


def test_every_key_of_the_documents_is_told() -> None:
    told = words("failoverctl.8").partition(".SH JSON")[2].partition(".SH EXAMPLES")[0]
    links = {*COUNTERS, *(row.key for row in LINK.rows), "generation", "needs"}
    keys = {*links, *controlfake.master(), *controlfake.VF, *historyfile.KEYS, "time", "event", "next"}
    assert [key for key in sorted({*keys, *document.STATES}) if not re.search(rf"\b{key}\b", told)] == []


def test_each_key_is_told() -> None:
    text = words("failoverd.toml.5")
    for section, keys in table(Config).items():
        assert f'.SH "[{".".join(header(section))}]"' in text
        assert all(f".TP\n.B {name}\n" in text for name in keys)


def test_failoverd_is_told_in_full() -> None:
    text = words("failoverd.8")
    for option in daemon.PROGRAM.options:
        assert option.flag == "--help" or option.flag in text
    for code in (0, daemon.CANNOT_RUN, daemon.WRONG_USAGE, daemon.BROKE_DOWN):
        assert re.search(rf"\b{code} [a-z]", text.partition(".SH EXIT STATUS")[2])


def test_failoverd_hooks_is_told_in_full() -> None:
    text = words("failoverd-hooks.8")
    options = text.partition(".SH OPTIONS")[2].partition(".SH EVENTS")[0]
    assert [option.flag for option in hooks.PROGRAM.options if option.flag not in options] == ["--version"]
    for option in hooks.PROGRAM.options:
        if option.value:
            usual = hooks.USUAL[option.flag]
            usual = f"{usual:g}" if isinstance(usual, float) else usual
            assert f": {usual} without it" in options
            assert f"{usual} without it." in option.about
    events = (FailedOver("m", "a", "b", "r", 0.0), LinkRenamed(1, "a", "b", True, "m", "master"), Joined("m", "c"))
    for signal in (*events, Released("m", "c")):
        for key, value in daemon_hooks.environment(signal, Moment(0.0, 0.0)).items():
            assert re.search(rf"^\.BR? .*\b{key}\b", text, re.MULTILINE), key
            assert key != "FAILOVERD_EVENT" or f".TP\n.B {value}\n" in text
    assert f"at most {hooks.LONGEST:.0f}" in options
    files = text.partition(".SH FILES")[2]
    assert all(f".I {place}\n" in files for place in ("/etc/failoverd/hooks.d/", "/run/failoverd-hooks/socket"))


def test_failoverd_libvirt_is_told_in_full() -> None:
    text = words("failoverd-libvirt.8")
    options = text.partition(".SH OPTIONS")[2].partition(".SH ENVIRONMENT")[0]
    assert [option.flag for option in libvirt.PROGRAM.options if option.flag not in options] == ["--version"]
    assert f": {libvirt.IDLE:g} without it" in options
    assert f"at most {hooks.LONGEST:.0f}" in options
    assert f": {client.CONTROL} without it" in text
    assert f"at most {libvirtsource.FRESH * 1000:g} ms old" in text
    assert f"more than {rows.MOST} interfaces" in text
    for name in ("failoverd-libvirt.socket", "failoverd-libvirt-ro.socket"):
        unit = (PAGES.parents[1] / "units" / name).read_text()
        path = unit.partition("ListenStream=")[2].partition("\n")[0]
        assert f".I {path}\n" in text


def test_failoverd_netns_is_told_in_full() -> None:
    text = words("failoverd-netns.8")
    options = text.partition(".SH OPTIONS")[2].partition(".SH EXIT")[0]
    assert [option.flag for option in netns.PROGRAM.options if option.flag not in options] == ["--version"]
    assert f": {netns.IDLE:g} without it" in options
    assert f": {netns.USUAL} without it" in options
    assert f"at most {hooks.LONGEST:.0f}" in options
    unit = (PAGES.parents[1] / "units" / "failoverd-netns.socket").read_text()
    assert f".I {unit.partition('ListenSequentialPacket=')[2].partition(chr(10))[0]}\n" in text
    codes = (
        (PAGES.parents[1] / "failoverd" / "model" / "places.py")
        .read_text()
        .partition("A code: ")[2]
        .partition(".\n")[0]
    )
    told = text.partition(".SH REASONS")[2].partition(".SH OPTIONS")[0]
    assert re.findall(r"^\.B ([a-z-]+)$", told, re.MULTILINE) == re.findall("[a-z-]+", codes)
    for by in protocol.BY:
        assert f".BI {by} " in text


@pytest.mark.parametrize(
    ("variable", "usual"), [("FAILOVERD_CONTROL", client.CONTROL), ("FAILOVERD_HISTORY", historyfile.USUAL)]
)
def test_the_environment_is_told(variable: str, usual: str) -> None:
    told = words("failoverctl.8").partition(".SH ENVIRONMENT")[2].partition(".SH SEE ALSO")[0]
    assert usual in told.partition(f".TP\n.B {variable}\n")[2].partition(".TP")[0]


@pytest.mark.parametrize("page", sorted(path.name for path in PAGES.iterdir()))
def test_roff_has_nothing_to_say(page: str) -> None:
    found = [command for command in CHECKS if shutil.which(command[0])]
    assert found, "neither groff nor mandoc is here; install groff-base"
    for command in found:
        done = subprocess.run([*command, PAGES / page], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
