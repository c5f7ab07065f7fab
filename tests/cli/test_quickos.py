"""What failoverctl has instead of `os`, beside `os`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from failoverd.cli import quickos

ODD = ("plain", "ens日", os.fsdecode(b"\xff\xfe"), "")


@pytest.mark.parametrize("value", ODD)
def test_as_os_has_it(value: str) -> None:
    code = "import os; from failoverd.cli import quickos as q; print(ascii((q.environ('ODD'), os.environ['ODD'])))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"ODD": value}, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == ascii((value, value))
    assert quickos.encoded(value) == os.fsencode(value)


def test_a_variable_that_is_not_set() -> None:
    assert (quickos.environ("FAILOVERD_NONE"), quickos.environ("FAILOVERD_NONE", "usual")) == ("", "usual")


def test_a_plain_call_does_not_import_os() -> None:
    """It would take as long as all the rest. -S: `site` imports it."""
    found = "{'os', 're', 'json'} & {*sys.modules}"
    code = f"import sys; sys.path.append({str(Path.cwd())!r}); import failoverd.cli.ctl; print({found})"
    assert subprocess.check_output([sys.executable, "-IS", "-c", code]) == b"set()\n"
