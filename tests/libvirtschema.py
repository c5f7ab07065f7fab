"""libvirt's own schema of an interface (interface.rng), from Debian's packages, and what a document has against it.

apt downloads the package of each release, also of another release than this machine's, with lists and keys in a
directory of its own; the files are kept in the lab's cache. lxml validates, as it is libxml2, with which libvirt itself
does it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import trio
from lxml import etree

from failoverd_lab.host import cached

PACKAGES = {"bookworm": "libvirt0", "trixie": "libvirt-common"}
"""By the release: the package that has the schemas (libvirt 9.0, 11.3)."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NAME = re.compile(r"[a-zA-Z0-9_.\-\\:/]+")
"""The names that the schema has (basictypes.rng, deviceName)."""
CONFIG = """\
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
Acquire::Languages "none";
APT::Sandbox::User "{user}";
"""
FOLDERS = ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/log/apt")


@cache
def schema(suite: str) -> etree.RelaxNG:
    """The schema of the libvirt in this Debian release."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb") and KEYRING.exists()):
        pytest.skip("Debian's packages cannot be had here: apt-get, dpkg-deb or debian-archive-keyring is missing")

    async def build(where: Path) -> None:
        await trio.to_thread.run_sync(_download, suite, where)

    found = trio.run(cached, f"libvirt-schemas-{suite}", build)
    return etree.RelaxNG(etree.parse(str(found / "interface.rng")))


def errors(suite: str, document: etree._Element) -> list[str]:
    """What the schema has against a document; names that it does not have are replaced by some that it has."""
    renamed = etree.fromstring(etree.tostring(document))
    for one in renamed.iter("interface"):
        name = one.get("name")
        if name and not NAME.fullmatch(name):
            one.set("name", "renamed")
    rules = schema(suite)
    return [] if rules.validate(renamed) else [f"{document.get('name')}: {error}" for error in rules.error_log]


def _download(suite: str, where: Path) -> None:
    root = where / "apt"
    for folder in (*FOLDERS, "var/cache/apt/archives/partial"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    source = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"
    (root / "etc/apt/sources.list").write_text(source)
    (root / "apt.conf").write_text(CONFIG.format(root=root, user="root" if os.geteuid() == 0 else ""))
    environment = os.environ | {"APT_CONFIG": str(root / "apt.conf")}
    for command in (["apt-get", "-q", "update"], ["apt-get", "-q", "download", PACKAGES[suite]]):
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    (package,) = root.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, root / "files"], check=True, timeout=60)
    for path in (root / "files/usr/share/libvirt/schemas").glob("*.rng"):
        shutil.copy(path, where)
    shutil.rmtree(root)
