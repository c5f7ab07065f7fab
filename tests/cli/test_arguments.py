from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd import __version__
from failoverd.cli import usage
from failoverd.cli.arguments import Command, Option, Program, UsageError, parse, seconds
from failoverd.cli.commands import COMMANDS, CTL
from failoverd.cli.ctl import main


@pytest.mark.parametrize(
    ("words", "command", "arguments", "options"),
    [
        ([], "status", [], {}),
        (["-q"], "status", [], {"--quiet": ""}),
        (["status", "ens3"], "status", ["ens3"], {}),
        (["--json", "drain", "ens3", "--timeout", "60"], "drain", ["ens3"], {"--json": "", "--timeout": "60"}),
        (["drain", "--timeout=1.5", "ens3"], "drain", ["ens3"], {"--timeout": "1.5"}),
        (["--color", "always", "list"], "list", [], {"--color": "always"}),
        (["rename", "--", "-x", "--json"], "rename", ["-x", "--json"], {}),
        (["--", "explain", "-"], "explain", ["-"], {}),
        (["explain", ""], "explain", [""], {}),
        (["drain", "--help"], "drain", [], {"--help": ""}),
    ],
)
def test_what_is_wanted(words: list[str], command: str, arguments: list[str], options: dict[str, str]) -> None:
    wanted = parse(CTL, words)
    assert (wanted.command, list(wanted.arguments), dict(wanted.options)) == (command, arguments, options)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["reboot"], "there is no command 'reboot'; there are status, list"),
        (["stat"], "there is no command 'stat'; did you mean status?"),
        (["ens3"], "there is no command 'ens3'"),
        (["release"], "release wants MASTER"),
        (["switch", "ens3"], "switch wants MASTER and SLAVE"),
        (["adopt", "a", "b"], "adopt has no use for 'b'"),
        (["--frob"], "there is no option --frob before the command"),
        (["--js"], "there is no option --js"),
        (["status", "--timeout", "3"], "there is no option --timeout to status"),
        (["drain", "a", "--timeout"], "--timeout wants a value: SECONDS"),
        (["drain", "a", "--timeout="], "--timeout: '' is no number of seconds"),
        (["drain", "a", "--timeout", "-1"], "--timeout: '-1' is no number of seconds, 0 or more"),
        (["drain", "a", "--timeout", "nan"], "--timeout: 'nan' is no number"),
        (["drain", "a", "--timeout", "inf"], "--timeout: 'inf' is no number"),
        (["history", "--last", "many"], "--last: 'many' is no number of events"),
        (["--json=yes"], "--json takes no value"),
        (["--color", "red"], "--color takes auto, always, never, not 'red'"),
        (["--=x"], "there is no option --"),
        (["-=x"], "there is no option -"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(CTL, words)
    assert str(caught.value).startswith(text)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"failoverctl: {text}")
    assert "\nusage: failoverctl" in err


WORDS = [*COMMANDS, *(option.flag for option in CTL.options), "--timeout", "--", "-", "ens3", "60", "--json=", "-qh"]


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=6))
def test_any_words_are_a_call_or_wrong_usage(words: list[str]) -> None:
    try:
        wanted = parse(CTL, words)
    except UsageError:
        return
    assert wanted.command in COMMANDS
    assert set(wanted.arguments) <= set(words)


PLAIN = Program(
    "plain",
    "Do one thing.",
    [Option("--wait", "How long.", value="SECONDS", read=seconds), Option("--fast", "At once.", letter="-f")],
    [("--fast", "at once")],
    {0: "done"},
    notes="More in plain(8).",
)
PUT = Command("FILE...", "put files there", "", [("put a", "a")])
MANY = Program("many", "Do several.", [], [], {0: "done"}, {"put": PUT})


def test_a_program_without_commands(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = parse(PLAIN, ["-f", "--wait=2"])
    assert (wanted.command, wanted.named, dict(wanted.options)) == ("", False, {"--fast": "", "--wait": 2.0})
    assert usage.begin(PLAIN, ["--frob"]) == 2
    said = "plain: there is no option --frob; plain --help says more\nusage: plain [--wait SECONDS] [--fast]\n"
    assert capsys.readouterr().err == said
    assert usage.begin(PLAIN, ["word"]) == 2
    assert capsys.readouterr().err.startswith("plain: plain has no use for 'word';")


def test_a_program_that_wants_a_command_and_as_many_arguments_as_there_are() -> None:
    assert parse(MANY, ["put", "a", "b", "c"]).arguments == ["a", "b", "c"]
    with pytest.raises(UsageError, match=r"^many wants a command; there are put$"):
        parse(MANY, [])
    with pytest.raises(UsageError, match=r"^put wants FILE$"):
        parse(MANY, ["put"])


def test_help_and_version_are_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage.begin(PLAIN, ["--version"]) == 0
    assert capsys.readouterr().out == f"plain {__version__}\n"
    assert usage.begin(PLAIN, ["-h"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: plain [--wait SECONDS] [--fast]\n\nDo one thing.\n\noptions:\n")
    assert out.endswith("exit codes:\n  0  done\n\nMore in plain(8).\n")
    assert usage.begin(MANY, ["put", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: many put FILE...\n\nPut files there.")


def test_what_a_program_wants_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["many", "put", "a"])
    wanted = usage.begin(MANY, None)
    assert not isinstance(wanted, int)
    assert wanted.arguments == ["a"]
