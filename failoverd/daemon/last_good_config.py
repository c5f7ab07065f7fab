"""The configuration, and a copy of the last valid one, for a start with an invalid one.

A reload keeps the running configuration if the files are wrong. A start has nothing to keep, and a machine that boots
without its daemon has no failover. So the files are kept as they were read, in <state>/accepted.json, and a start falls
back to them if the present ones cannot be used. The copy is checked again, as another release may judge it differently.

A copy stands for the same main file only; a run by hand with its own file is not what the service wants.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

from failoverd.config.errors import ConfigError
from failoverd.config.load import MAIN, Texts, from_texts, load_with_texts
from failoverd.config.regular import read_regular
from failoverd.config.spec import Config
from failoverd.daemon.disk_writer import DiskWriter
from failoverd.daemon.files import advice, put

log = logging.getLogger("failoverd")

LARGEST = 16 << 20
"""Bytes of the copy."""

TROUBLE = "the configuration has a mistake, and the last one without is used (the log says more)"
"""For the service manager's status."""


class LastGoodConfig:
    """See the module. `main` is the file that was named, None for the usual one; `trouble` is a sentence if the daemon
    runs with the copy, "" otherwise."""

    def __init__(self, path: Path, main: Path | None) -> None:
        self._path = path
        self._main = main
        self._texts: Texts | None = None
        self.trouble = ""

    def load(self) -> Config:
        """Return the configuration that is in the files now. Raises ConfigError."""
        config, self._texts = load_with_texts(self._main)
        return config

    def last(self) -> Config | None:
        """Return the kept configuration; None if there is none that can be used."""
        try:
            raw = json.loads(read_regular(self._path, LARGEST))
            if raw["main"] != self._name():
                return None
            config = from_texts([(str(name), str(text).encode()) for name, text in raw["documents"]])
        except FileNotFoundError:
            return None
        except (OSError, LookupError, TypeError, ValueError, RecursionError, ConfigError) as error:
            log.error("%s: not a configuration that can be used (%s)", self._path, error)
            return None
        self.trouble = TROUBLE
        return config

    def keep(self, disk_writer: DiskWriter) -> None:
        """Keep what was loaded last, as it has been accepted. This does not wait for the disk."""
        if self._texts is None:
            return
        kept = {"main": self._name(), "documents": [(name, raw.decode()) for name, raw in self._texts]}
        if not disk_writer.do(partial(_put, self._path, json.dumps(kept).encode() + b"\n"), self._failed):
            log.error("%s: not kept, for the disk does not take anything", self._path)

    def _name(self) -> str:
        return str((self._main or MAIN).absolute())

    def _failed(self, error: OSError) -> None:
        log.error("the configuration is not kept for a start with a mistake in it: %s; %s", error, advice(error))


def _put(path: Path, data: bytes) -> None:
    """Write the copy. An equal file is not written again; anything else there is replaced, of whatever type."""
    try:
        if read_regular(path, LARGEST) == data:
            return
    except OSError:
        pass
    put(path, data)
