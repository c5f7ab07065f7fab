"""A configuration file: it is taken, or refused by ConfigError, whose every problem is one line that can be printed."""

from __future__ import annotations

from pathlib import Path

from fuzzing import LARGEST, Harness, refused

from failoverd.config.errors import ConfigError
from failoverd.config.load import from_texts
from failoverd.config.spec import Config

EXAMPLE = Path(__file__).parents[2] / "docs" / "reference" / "failoverd.toml.example"


def one(data: bytes) -> None:
    """See the module."""
    try:
        config = from_texts([("failoverd.toml", data)])
    except ConfigError as error:
        refused(error.problems)
        return
    assert isinstance(config, Config)
    hash(config)


def seeds() -> list[bytes]:
    """The example with all keys, also in force, and other shapes that TOML has."""
    example = EXAMPLE.read_bytes()
    lines = (
        line[1:] if (line.startswith(b"#") and b" = " in line and line[1:2] != b" ") or line[:2] == b"#[" else line
        for line in example.split(b"\n")
    )
    return [
        b"\n".join(lines),
        example[:2000],
        b"[join]\nretry = 9\nretry_max = 1\n[bond]\nmiimon = 0x7\n[failback]\nautomatic = true\nhold_down = 1e2\n",
        b'[pairing]\nignore = ["a*", "52:54:00:aa:bb:cc",\n "x"] # one\n[naming]\nmaster = """\\\n{nic}"""\n',
        b"master = {create = 'always'}\nx.y.z = 1979-05-27T07:32:00Z\n[[a]]\nb = [[1], [inf, nan]]\n",
        b'[link.a]\nkind = "veth"\npeer = { device = "b0" }\n[[link.a.routes]]\nto = "::/0"\nvia = "fe80::1"\n',
        b'[link.a]\nkind="vlan"\nlower="link:b"\nid=7\n[link.b]\nkind="bridge"\nports=["link:a"]\n[link."c.d"]\n',
        b'[a\xff]\n"\\u0041" = \'\x7f\'\n["a\\nb"]\nc = 1\n',
    ]


WORDS = (
    b"[[a]]\n",
    b"[a]\n",
    b'"""',
    b"'''",
    b" = ",
    b"{",
    b"}",
    b"[",
    b"]",
    b".a",
    b"\\u0000",
    b"\\",
    b"#",
    b"inf",
    b"nan",
    b"_0",
    b"0x",
)

HARNESS = Harness("config", one, seeds, WORDS, LARGEST)
