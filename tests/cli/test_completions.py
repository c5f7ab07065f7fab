"""The completions, in a real bash and a real zsh, with something that answers at the control socket."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from controlfake import Fake, master, ok, status
from linksfake import CONTAINER, HOST, document

from failoverd.cli.commands import COMMANDS, CTL
from failoverd.cli.links.table import COMMANDS as LINKS

FOLDER = Path(__file__).parents[2] / "completions"
BASH, ZSH = FOLDER / "failoverctl.bash", FOLDER / "_failoverctl"

COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2)) COMP_LINE="${*:2}" COMP_POINT=${#COMP_LINE}
COMPREPLY=()
_failoverctl failoverctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH_TYPING = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "source ${(q)1}"
zpty -r shell seen '*<ready>*'
for line in "${@:2}"; do
    zpty -w -n shell $'\\C-u'"$line"$'\\t'
    zpty -r shell seen '*<offered>*'
done
zpty -d shell
"""
"""Types lines into a zsh on a terminal of its own, with a tab behind each."""
ZSH_TYPED_AT = """
PROMPT=
setopt no_auto_list no_beep
fpath=($FOLDER $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
    local -a offered
    if (( ! ${@[(I)-(O|A|D)]} )); then
        builtin compadd -O offered "$@"
        (( $#offered )) && print -rl -- $offered >>$OFFERED
    fi
    builtin compadd "$@"
}
offer() { zle complete-word; print '<next>' >>$OFFERED; print '<offered>' }
zle -N offer
bindkey '^I' offer
print '<ready''>'
"""
"""That zsh, which writes down what is offered."""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control socket's place; failoverctl is in $PATH."""
    program = tmp_path / "bin" / "failoverctl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom failoverd.cli.ctl import main\nraise SystemExit(main())\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setenv("FAILOVERD_CONTROL", str(tmp_path / "control"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "control"


@pytest.fixture
def daemon(path: Path) -> Iterator[Fake]:
    odd = [{"name": name, "ifindex": i} for i, name in enumerate(("\x1b]0;x", "$(>harm)", "`>harm`", "a;b"), 100)]
    lone = {"name": "ens9", "ifindex": 9, "verdict": "alone"}
    lan = master(name="lan0", ifindex=7, active="lan0nsby", primary=None, standby={"name": "lan0nsby", "ifindex": 6})
    masters = status(master(), lan, nics=[*odd, lone])
    links = ok(document(HOST, CONTAINER, replace(HOST, name="$(>harm)")))
    with Fake(path, lambda asked: links if asked["call"] == "links" else masters) as fake:
        yield fake


def complete(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    command = ["bash", "--norc", "-c", COMPLETE, "bash", str(BASH), "failoverctl", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    return done.stdout.split()


GLOBAL = {flag for option in CTL.options for flag in (option.flag, option.letter) if flag}


def test_commands_and_options_are_those_of_the_table(path: Path) -> None:
    assert set(complete("")) == set(COMMANDS)
    assert complete("re") == ["release", "reload", "rename", "reset-damping"]
    assert set(complete("-")) == GLOBAL
    for name, command in COMMANDS.items():
        assert set(complete(name, "-")) == GLOBAL | {option.flag for option in command.options}, name


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["drain", ""], ["ens3", "lan0"]),
        (["--json", "drain", "--timeout", "60", "e"], ["ens3"]),
        (["drain", "--timeout", "=", "60", "e"], ["ens3"]),
        (["--color", "always", "status", ""], ["ens3", "lan0"]),
        (["drain", "ens3", ""], []),
        (["drain", "--timeout", ""], []),
        (["explain", ""], ["ens3", "ens3nsby", "ens4", "ens9", "lan0", "lan0nsby"]),
        (["rename", "ens4", ""], []),
        (["switch", "ens3", ""], ["ens3nsby", "ens4"]),
        (["switch", "lan0", "l"], ["lan0nsby"]),
        (["switch", "'; touch harm; '", ""], []),
        (["--color", ""], ["always", "auto", "never"]),
        (["--color", "="], ["always", "auto", "never"]),
        (["--color", "=", "n"], ["never"]),
        (["list", ""], []),
        (["links", ""], sorted(LINKS)),
        (["links", "re"], ["release", "resync"]),
        (["links", "show", ""], ["web-ct", "web-host"]),
        (["links", "show", "web-ct", ""], []),
        (["links", "wait", "web-ct", "web-h"], ["web-host"]),
        (["links", "watch", ""], []),
        (["links", "wait", "--t"], ["--timeout"]),
        (["links", "wait", "--timeout", ""], []),
        (["links", "graph", "--svg", "b"], ["bin"]),
        (["links", "check", "b"], ["bin"]),
        (["links", "check", "--d"], ["--dry-run"]),
        (["links", "list", "--d"], ["--dry-run"]),
        (["history", "--master", ""], ["ens3", "lan0"]),
        (["history", "--last", "5", "--master", "=", "l"], ["lan0"]),
        (["history", "--svg", "b"], ["bin"]),
        (["check-config", "bi"], ["bin"]),
    ],
)
def test_what_is_offered(daemon: Fake, words: list[str], offered: list[str]) -> None:
    assert complete(*words) == offered
    assert not Path("harm").exists()


def test_without_a_daemon_there_are_no_names(path: Path) -> None:
    assert complete("drain", "") == []
    assert set(complete("")) == set(COMMANDS)


def test_links_have_the_same_words_in_both() -> None:
    zsh, bash = ZSH.read_text(), BASH.read_text()
    for name, command in LINKS.items():
        assert f"'{name}:{command.summary}'" in zsh
        assert all(option.flag in zsh and option.flag in bash for option in command.options)
    block = zsh.partition("actions=(\n")[2].partition("\n            )")[0]
    assert [line.strip().split(":")[0].strip("'") for line in block.splitlines()] == list(LINKS)


def test_zsh_has_the_same_words() -> None:
    text = ZSH.read_text()
    told = {name: command.summary.replace("'", "'\\''") for name, command in COMMANDS.items()}
    block = text.partition("commands=(\n")[2].partition("\n    )")[0]
    assert [line.strip() for line in block.splitlines()] == [f"'{name}:{about}'" for name, about in told.items()]
    for option in (*CTL.options, *(option for command in COMMANDS.values() for option in command.options)):
        assert option.flag in text


needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")


@needs_zsh
def test_zsh_understands_it() -> None:
    done = subprocess.run(["zsh", "-n", ZSH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def complete_in_zsh(*lines: str) -> list[list[str]]:
    """What zsh offers at the end of each of these lines, sorted."""
    for name, text in (("typing", ZSH_TYPING), ("typed-at", ZSH_TYPED_AT)):
        Path(name).write_text(text)
    environment = os.environ | {"FOLDER": str(FOLDER), "OFFERED": "offered", "TERM": "dumb"}
    command = ["zsh", "-f", "typing", "./typed-at", *lines]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    groups = Path("offered").read_text().split("<next>\n")
    return [sorted(group.split()) for group in groups[:-1]]


@needs_zsh
def test_what_zsh_offers(daemon: Fake) -> None:
    expected = {
        "failoverctl ": sorted(COMMANDS),
        "failoverctl re": ["release", "reload", "rename", "reset-damping"],
        "failoverctl -": sorted(GLOBAL),
        "failoverctl --color ": ["always", "auto", "never"],
        "failoverctl drain ": ["ens3", "lan0"],
        "failoverctl --json drain --timeout 60 e": ["ens3"],
        "failoverctl drain ens3 ": sorted({*GLOBAL, "--timeout"}),
        "failoverctl explain ": ["ens3", "ens3nsby", "ens4", "ens9", "lan0", "lan0nsby"],
        "failoverctl rename ens4 ": [],
        "failoverctl switch ens3 ": ["ens3nsby", "ens4"],
        "failoverctl history --master ": ["ens3", "lan0"],
        "failoverctl check-config bi": ["bin"],
        "failoverctl list ": sorted(GLOBAL),
        "failoverctl links ": sorted(LINKS),
        "failoverctl links re": ["release", "resync"],
        "failoverctl links show ": ["web-ct", "web-host"],
        "failoverctl links wait web-ct web-h": ["web-host"],
        "failoverctl links graph --svg b": ["bin"],
        "failoverctl links check b": ["bin"],
        "failoverctl links watch ": sorted(GLOBAL),
    }
    expected |= {
        f"failoverctl {name} --": sorted(
            {flag for flag in GLOBAL if flag.startswith("--")} | {option.flag for option in command.options}
        )
        for name, command in COMMANDS.items()
        if command.options
    }
    assert dict(zip(expected, complete_in_zsh(*expected), strict=True)) == expected
    assert not Path("harm").exists()
