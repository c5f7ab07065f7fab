"""libvirt's own clients of a Debian release: virsh and libvirt-python, this machine's, or unpacked with all they need.

What is unpacked is run by its own dynamic loader from where it lies; no maintainer script has run, and nothing of it is
installed. It is kept in the lab's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import trio

from failoverd_lab.host import cached

PYTHON = "/usr/bin/python3"
"""The system's, which has Debian's libvirt-python."""
PACKAGES = ("libvirt-clients", "python3-libvirt")


@dataclass(frozen=True)
class Clients:
    """How they are called."""

    virsh: list[str]
    python: list[str]
    environment: dict[str, str] = field(default_factory=lambda: os.environ | {"LC_ALL": "C.UTF-8"})


@cache
def clients(suite: str) -> Clients:
    """Those of this release, or of this machine ("here"). Skips where they cannot be had."""
    if suite == "here":
        if not shutil.which("virsh"):
            pytest.skip("not installed: libvirt-clients")
        if subprocess.run([PYTHON, "-c", "import libvirt"], stderr=subprocess.DEVNULL, check=False).returncode:
            pytest.skip("not installed: python3-libvirt")
        return Clients(["virsh"], [PYTHON])
    if not shutil.which("mmdebstrap"):
        pytest.skip("not installed: mmdebstrap")

    async def build(where: Path) -> None:
        command = ["mmdebstrap", "--variant=extract", "--quiet", f"--include={','.join(PACKAGES)}", suite, "root"]
        done = await trio.run_process(command, cwd=where, capture_stdout=True, capture_stderr=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    root = trio.run(cached, f"libvirt-clients-{suite}", build) / "root"
    (loader,) = root.glob("usr/lib64/ld-linux-*.so.*")
    libraries = next(root.glob("usr/lib/*/libvirt.so.0")).parent
    python = next(path for path in sorted(root.glob("usr/bin/python3.*")) if path.suffix[1:].isdecimal())
    loaded = [str(loader), "--library-path", str(libraries)]
    environment = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONHOME": f"{root}/usr"}
    environment["PYTHONPATH"] = f"{root}/usr/lib/python3/dist-packages"
    return Clients([*loaded, f"{root}/usr/bin/virsh"], [*loaded, str(python)], environment)
