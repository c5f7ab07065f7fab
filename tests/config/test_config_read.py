"""Documents become a Config, or a list of everything that is wrong with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.config.errors import ConfigError
from failoverd.config.read import build, parse
from failoverd.config.spec import Bond, Config, Failback, Join, Pairing


def read(*texts: str) -> Config:
    """The configuration from texts that stand in files f1, f2 and so on."""
    return build(parse(f"f{number}", text.encode()) for number, text in enumerate(texts, 1))


def problems(*texts: str) -> list[str]:
    """What is wrong with such texts, a line each."""
    with pytest.raises(ConfigError) as error:
        read(*texts)
    return str(error.value).splitlines()


def test_nothing_given_is_all_defaults() -> None:
    assert read() == read("") == read("\ufeff# nothing\n[bond]\n") == Config()


def test_later_documents_override_key_by_key() -> None:
    config = read(
        "[bond]\nmiimon = 50\npeer_notifications = 3\n[pairing]\nignore = ['eth1', 'eth2']",
        "[bond]\nmiimon = 200\n[failback]\nhold_down = 3",
        "pairing.ignore = ['EE:00:00:00:00:01']\r\n",
    )
    assert config == replace(
        Config(),
        bond=Bond(miimon=200, peer_notifications=3),
        failback=Failback(hold_down=3.0),
        pairing=Pairing(ignore=("ee:00:00:00:00:01",)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n[bond]\nmiimom = 1", "f1:3: [bond] miimom: no such key; did you mean miimon?"),
        ("[bond]\nx = 1", "f1:2: [bond] x: no such key; the keys of [bond] are miimon, peer_notifications"),
        ("[bond]\nretry = 1", "f1:2: [bond] retry: no such key; it belongs below [join]"),
        ("[bond]\n'a b' = 1", 'f1:2: [bond] "a b": no such key; the keys of [bond] are miimon, peer_notifications'),
        ("[boond]\nmiimon = 1", "f1:1: [boond]: no such section; did you mean [bond]?"),
        (
            "[zz]",
            "f1:1: [zz]: no such section; the sections are [master], [bond], [tc], [announce], [kernel_failover],",
        ),
        ("\nmiimon = 1", "f1:2: miimon: stands outside every section; put it below [bond]"),
        ("lgo = 1", "f1:1: lgo: stands outside every section; did you mean [log]?"),
        ("log = 'debug'", 'f1:1: [log]: "debug" is no section; write [log], then its keys'),
        ("[[bond]]\nmiimon = 1", "f1:1: [bond]: [a table] is no section; write [bond], then its keys"),
        (
            "[failback]\nhold_down = nan",
            "f1:2: [failback] hold_down: nan is no span of time; give a number from 0 to 3600 (seconds)",
        ),
        (
            "bond = { miimon = true }",
            "f1:1: [bond] miimon: true is a boolean; give a whole number from 10 to 10000 (milliseconds)",
        ),
        (
            "[join]\nretry = 600",
            "f1:2: [join] retry: retry_max (300) is less than retry (600); make it as much",
        ),
        (
            "[join]\nretry_max = 5",
            "f1:2: [join] retry_max: retry_max (5) is less than retry (10); make it as much",
        ),
        (
            '[path]\ntargets = ["gateway", "10.0.0.1", "2001:db8::1", "gw.example"]',
            'f1:2: [path] targets: "gw.example" is no IP address; give addresses, or "gateway"',
        ),
        (
            '[path]\ntargets = ["fe80::1%ens3"]',
            'f1:2: [path] targets: "fe80::1%ens3" is no IP address; give addresses, or "gateway"',
        ),
        (
            "[damping]\nreuse = 6000",
            "f1:2: [damping] reuse: reuse (6000) is not less than suppress (6000); make it less",
        ),
        (
            "[damping]\nsuppress = 1200",
            "f1:2: [damping] suppress: reuse (1500) is not less than suppress (1200); make it less",
        ),
        (
            "[damping]\nhalf_life = 450",
            "f1:2: [damping] half_life: max_suppress (900) is too short for any VF to be suppressed; make it ",
        ),
        (
            "[damping]\nhalf_life = 450\nmax_suppress = 600",
            "f1:3: [damping] max_suppress: max_suppress (600) is too short for any VF to be suppressed; make it more ",
        ),
        (
            "[pairing]\nparavirtual_drivers = []\nparavirtual_buses = []",
            "f1:3: [pairing] paravirtual_buses: paravirtual_drivers is empty too, so no NIC would ever be paired; ",
        ),
        ("a = 1\n[bond\nmiimon = 1", "f1:2: this is not TOML: Expected ']' at the end of a table declaration"),
        ("[bond]\nmiimon = ", "f1:2: this is not TOML: Invalid value"),
        ("[bond]\nmiimon = 1\nmiimon = 2", "f1:3: this is not TOML: Cannot overwrite a value"),
        ("[bond]\nmiimon = " + "9" * 5000, "f1:2: a number has too many digits"),
        ("a = " + "[" * 100_000, "f1:1: brackets are nested too deeply; no key takes more than one list"),
    ],
)
def test_a_problem_names_file_line_key_and_remedy(text: str, problem: str) -> None:
    (said,) = problems(text)
    assert said.startswith(problem)


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    with pytest.raises(ConfigError) as error:
        parse("f1", b"a = 1\n# caf\xe9\n")
    assert str(error.value) == "f1:2: byte 0xe9 is not UTF-8, which TOML must be; save the file as UTF-8"


def test_all_problems_at_once_even_overridden_ones() -> None:
    said = problems("[bond]\nmiimon = 1\nx = 1\n[a]", "[bond]\nmiimon = 50\ny = 1")
    assert [line.split(";")[0] for line in said] == [
        "f1:2: [bond] miimon: 1 is too small",
        "f1:3: [bond] x: no such key",
        "f1:4: [a]: no such section",
        "f2:3: [bond] y: no such key",
    ]


def test_keys_at_odds_across_files_are_laid_to_the_file_that_gave_one() -> None:
    assert problems("[join]\nretry_max = 500\nretry = 400", "[join]\nretry_max = 350") == [
        "f2:2: [join] retry_max: retry_max (350) is less than retry (400); make it as much"
    ]
    assert read("[join]\nretry = 400", "[join]\nretry_max = 400").join == Join(retry=400, retry_max=400)


@given(st.binary(max_size=60) | st.text("[]{}=.,\"'\\#\n\r ab1_-\u00e9\0", max_size=60).map(str.encode))
def test_any_bytes_become_a_config_or_a_config_error(raw: bytes) -> None:
    try:
        config, said = build([parse("f1", raw)]), ["f1:"]
    except ConfigError as error:
        config, said = Config(), str(error).splitlines()
    assert isinstance(config, Config)
    assert all(line.startswith("f1:") and line.isprintable() for line in said)
