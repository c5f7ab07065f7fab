"""The contract tests, where a kernel with bonding is: the same assertions as on the simulated kernel, in a guest.

The guest has Debian 12's own pyroute2, trio and pytest, so this also holds that the code runs on those.
"""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import pytest
import trio

from failoverd_lab.guest import open_guest
from failoverd_lab.image import image
from failoverd_lab.switch import open_switch

pytestmark = pytest.mark.vm

ROOT = Path(__file__).parents[2]


def archive() -> bytes:
    """The package and its lab, and the tests the guest can run."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        helpers = [f"tests/{name}.py" for name in ("linksworld", "privatenet", "toykernel")]
        for pattern in ("failoverd/**/*.py", "lab/failoverd_lab/**/*.py", "tests/contract/*.py", *helpers):
            for path in sorted(ROOT.glob(pattern)):
                tar.add(path, path.relative_to(ROOT))
    return stream.getvalue()


def test_the_simulated_kernel_keeps_its_contract_with_the_real_one() -> None:
    async def test() -> str:
        async with open_switch() as switch, open_guest(await image(progress=print), switch) as guest:
            await guest.unpack(archive(), "/run/contract")
            argv = ["sh", "-c", "cd /run/contract && exec python3 -m pytest -q -p no:cacheprovider tests/contract"]
            env = {"FAILOVERD_REQUIRE_REAL": "1", "PYTHONPATH": "/run/contract:/run/contract/lab:/run/contract/tests"}
            done = await guest.run(argv, timeout=900, env=env)
            return done.stdout.decode() or done.stderr.decode()

    out = trio.run(test)
    print(out)
    last = out.strip().splitlines()[-1]
    assert re.search(r"\d+ passed", last), out
    assert not re.search("failed|error|skipped", last), out
