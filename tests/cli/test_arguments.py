from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.cli.arguments import UsageError, parse
from failoverd.cli.commands import COMMANDS, OPTIONS
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
    wanted = parse(words)
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
        (["drain", "a", "--timeout="], "--timeout takes a number of seconds"),
        (["drain", "a", "--timeout", "-1"], "--timeout takes a number of seconds, 0 or more, not '-1'"),
        (["drain", "a", "--timeout", "nan"], "--timeout takes a number"),
        (["drain", "a", "--timeout", "inf"], "--timeout takes a number"),
        (["--json=yes"], "--json takes no value"),
        (["--color", "red"], "--color takes auto, always, never, not 'red'"),
        (["--=x"], "there is no option --"),
        (["-=x"], "there is no option -"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert str(caught.value).startswith(text)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"failoverctl: {text}")
    assert "\nusage: failoverctl" in err


WORDS = [*COMMANDS, *(option.flag for option in OPTIONS), "--timeout", "--", "-", "ens3", "60", "--json=", "-qh"]


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=5)), max_size=6))
def test_any_words_are_a_call_or_wrong_usage(words: list[str]) -> None:
    try:
        wanted = parse(words)
    except UsageError:
        return
    assert wanted.command in COMMANDS
    assert set(wanted.arguments) <= set(words)
