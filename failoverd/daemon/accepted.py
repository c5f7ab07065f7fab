"""The configuration, and a copy of the last one that had no mistake, for a start with one that has.

A reload keeps what runs where the files are wrong. A start has nothing to keep, and a machine that boots without its
daemon has no failover. So the files are kept as they were read, in <state>/accepted.json, and taken from there where
they cannot be used as they are. They are looked through again: another release may have another opinion of them.

A copy stands for the same main file only; a run by hand with one of its own is not what the service wants.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

from failoverd.config.errors import ConfigError
from failoverd.config.load import MAIN, Texts, from_texts, load_with_texts
from failoverd.config.spec import Config
from failoverd.daemon.behind import Behind
from failoverd.daemon.files import advice, put

log = logging.getLogger("failoverd")

TROUBLE = "the configuration has a mistake, and the last one without is used (the log says more)"
"""For the service manager's status."""


class Accepted:
    """See the module. `main` is the file that was named, None for the usual one; `trouble` is a sentence where the
    daemon begins with the copy, "" otherwise."""

    def __init__(self, path: Path, main: Path | None) -> None:
        self._path = path
        self._main = main
        self._texts: Texts | None = None
        self.trouble = ""

    def load(self) -> Config:
        """The configuration as it is in the files now. Raises ConfigError."""
        config, self._texts = load_with_texts(self._main)
        return config

    def last(self) -> Config | None:
        """The one that was kept; None where there is none that can be used."""
        try:
            raw = json.loads(self._path.read_text(encoding="utf-8"))
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

    def keep(self, behind: Behind) -> None:
        """Keep what was loaded last, as it has been accepted. Nobody waits for the disk."""
        if self._texts is None:
            return
        kept = {"main": self._name(), "documents": [(name, raw.decode()) for name, raw in self._texts]}
        if not behind.do(partial(_put, self._path, json.dumps(kept).encode() + b"\n"), self._failed):
            log.error("%s: not kept, for the disk does not take anything", self._path)

    def _name(self) -> str:
        return str((self._main or MAIN).absolute())

    def _failed(self, error: OSError) -> None:
        log.error("the configuration is not kept for a start with a mistake in it: %s; %s", error, advice(error))


def _put(path: Path, data: bytes) -> None:
    """What is there already is not written again."""
    if not path.exists() or path.read_bytes() != data:
        put(path, data)
