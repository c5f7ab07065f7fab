"""What a plain call of failoverctl needs of `os`, from the module that `os` itself is made of.

`import os` takes as long as all modules of failoverctl together, most of it for collections.abc. See quickjson.
"""

from __future__ import annotations

import posix
import sys


def environ(name: str, usual: str = "") -> str:
    """A variable of the environment that Python was started with; `usual` where there is none."""
    value = posix.environ.get(encoded(name))
    return usual if value is None else value.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def encoded(text: str) -> bytes:
    """A path or an argument as the kernel has it: os.fsencode."""
    return text.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
