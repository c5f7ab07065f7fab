"""Keeps the links that failoverd-cni has had made for pods: a file for each below /run, as a reboot ends pods as well.

A file is there before the call that declares it is answered, so an end of the daemon at any moment loses none. What was
to be detached while no daemon answered is a file in another directory, which is obeyed as soon as it is seen. One that
cannot be read is reported and keeps all devices: nothing is deleted because something could not be read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from failoverd.config.links.attachments import Attachment, Attachments, attachment_of, laid_under
from failoverd.config.links.fleet import RefusedError
from failoverd.config.links.snapshot import Merged
from failoverd.config.links.values import NAME, NAME_IN_WORDS
from failoverd.config.regular import read_regular
from failoverd.core.call_answers import CallError
from failoverd.daemon.files import advice, put

log = logging.getLogger("failoverd")

LARGEST = 1 << 16
"""Bytes of a file; a request to the control socket has less."""


class AttachmentStore:
    """See the module. All of it blocks, and belongs into a thread. `folder` has the files, `notes` what is to be
    detached."""

    def __init__(self, folder: Path, notes: Path) -> None:
        self.notes = notes
        self.is_whole = True
        """Whether every file could be read."""
        self._folder = folder
        self._kept: dict[str, Attachment] = {}
        for path in _files(folder):
            self._read(path)

    def kept(self) -> Attachments:
        """Return the attachments, the oldest first."""
        return dict(self._kept)

    def attach(self, name: str, raw: bytes, base: Merged, macs: Mapping[str, str] = MappingProxyType({})) -> None:
        """Check a declaration against those of files and etcd (`base`) and the others here, and keep it. Raises
        CallError. `macs` has the MACs of masters, by their words.

        What it says in place of an earlier one of the name is in force from then on.
        """
        one = read_document(name, raw)
        if name in self.going():
            raise CallError(f"the master of {name} is still on its way home; try again", "InUse")
        others = {other: kept for other, kept in self._kept.items() if other != name}
        found = laid_under(base, others | {name: one}, macs)
        if name in found.shadowed:
            raise CallError(f"a link {name} is declared already ({base.declared[name].source})", "InUse")
        for end in (one.end, one.shared):
            if end is not None and end.name in found.remarks:
                raise CallError(found.remarks[end.name].detail, "InUse")
        try:
            put(self._folder / name, raw)
        except OSError as error:
            text = f"{self._folder / name} cannot be written: {error.strerror}; {advice(error)}"
            raise CallError(text) from None
        self._kept = others | {name: one}

    def detach(self, names: Iterable[str]) -> bool:
        """Forget these. Returns whether any was there. Raises CallError."""
        found = [name for name in names if NAME.fullmatch(name) and name in self._kept]
        for name in found:
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                text = f"{self._folder / name} cannot be removed: {error.strerror}; {advice(error)}"
                raise CallError(text) from None
            del self._kept[name]
        return bool(found)

    def note(self, name: str) -> None:
        """Leave word that this one is to be detached, for this run or a later one. Raises CallError."""
        try:
            put(self.notes / name, b"")
        except OSError as error:
            raise CallError(f"{self.notes / name} cannot be written: {error.strerror}; {advice(error)}") from None

    def going(self) -> frozenset[str]:
        """Return the masters in pods that are to be brought home: they are kept until they are there."""
        pairs = {name for name, one in self._kept.items() if one.is_pair}
        return frozenset(pairs & {path.name for path in _files(self.notes)}) if pairs else frozenset()

    def forget(self, name: str) -> None:
        """Forget a master that is at home again. Raises CallError."""
        self.detach([name])
        (self.notes / name).unlink(missing_ok=True)

    def obey(self) -> bool:
        """Detach what was to be detached while no daemon answered. Returns whether any was there."""
        found = False
        going = self.going()
        for path in _files(self.notes):
            if path.name in going:
                found = True
                continue
            try:
                found |= self.detach([path.name])
                path.unlink(missing_ok=True)
            except (CallError, OSError) as error:
                log.warning("%s: %s; it is tried again", path, error)
        return found

    def _read(self, path: Path) -> None:
        try:
            raw = read_regular(path, LARGEST)
            self._kept[path.name] = attachment_of(path.name, raw, path.stat().st_mtime)
        except (OSError, RefusedError) as error:
            why = getattr(error, "strerror", "") or str(error)
            log.error("%s: %s; no device of a link is removed until it is gone and failoverd restarted", path, why)
            self.is_whole = False


def read_document(name: str, raw: bytes) -> Attachment:
    """Return what a document declares under this name. Raises CallError."""
    if not NAME.fullmatch(name):
        raise CallError(f"{name!r} is no name of an attachment; give {NAME_IN_WORDS}", "BadArgument")
    try:
        return attachment_of(name, raw, time.time())
    except RefusedError as error:
        raise CallError(str(error), "BadArgument") from None


def _files(folder: Path) -> list[Path]:
    """Return the files in a directory by age; those that are half written begin with a dot."""
    try:
        return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_age)
    except OSError:
        return []


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.lstat().st_mtime, path.name
    except OSError:
        return 0.0, path.name
