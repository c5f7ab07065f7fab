"""The codec is had without the rest of pyroute2, and the rest is there for who wants it."""

from __future__ import annotations

import subprocess
import sys

PART = "import sys; import failoverd.netlink.messages as ours; assert 'pyroute2' not in sys.modules\n"
CODEC = "assert ours.nlmsg.__module__.startswith('pyroute2.netlink')\n"


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_codec_alone() -> None:
    run(PART + CODEC + "assert not {'pyroute2.iproute', 'pyroute2.ndb'} & sys.modules.keys()")


def test_who_wants_all_of_it_gets_all_of_it() -> None:
    code = "import pyroute2; assert pyroute2.IPRoute; from pyroute2.netlink import nlmsg; assert nlmsg is ours.nlmsg"
    run(PART + code)


def test_where_all_of_it_is_there_already_it_stays() -> None:
    code = "import sys, pyroute2; import failoverd.netlink.messages; assert sys.modules['pyroute2'] is pyroute2"
    run(code)
