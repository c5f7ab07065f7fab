"""The file that the daemon reads, and from which a start goes on: one file, written whole at each change.

What a link is for the daemon (config/links/snapshot.py) stands beside what its key is in etcd's history, so a link and
its history cannot be of two moments.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from failoverd.config.links.snapshot import LARGEST_SNAPSHOT, VERSION
from failoverd.config.regular import read_regular
from failoverd_etcd.contact import Contact
from failoverd_etcd.declared import Fault, Good
from failoverd_etcd.history import SOURCE_EMPTIED, Held, Version
from failoverd_etcd.keys import Keys
from failoverd_etcd.picture import Picture

ADVICE = "it stays as it is until it is put again, or an administrator says: failoverctl links accept"
DETAILS = {
    SOURCE_EMPTIED: f"etcd has no link for this machine any more, and no deletion was seen; {ADVICE}",
}
DETAIL = f"its key is missing in etcd, and its deletion was not seen, as etcd's history was lost; {ADVICE}"


def document(picture: Picture, keys: Keys) -> dict[str, Any]:
    """Return what is written."""
    history, values = picture.history, picture.values
    links = {}
    for name in sorted(values.good.keys() | values.faults.keys() | history.keys.keys() | history.held.keys()):
        good, fault, held = values.good.get(name), values.faults.get(name), history.held.get(name)
        link: dict[str, Any] = {"where": f"etcd:{keys.link(name)}", "value": good.value if good else None}
        link |= {"revision": good.revision if good else 0, "taken": good.since if good else 0.0}
        link |= {"state": "", "reason": "", "detail": "", "since": link["taken"]}
        if fault is not None:
            link |= {"state": fault.state, "reason": fault.reason, "detail": fault.detail, "since": fault.since}
            link["fault"] = fault.revision
        if held is not None:
            detail = DETAILS.get(held.reason, DETAIL)
            link |= {"state": "suspect", "reason": held.reason, "detail": detail, "since": held.since}
        if name in history.keys:
            version = history.keys[name]
            link["version"] = [version.created, version.modified, version.digest]
        links[name] = link
    return {
        "version": VERSION,
        "keys": keys.links,
        "revision": history.revision,
        "term": history.term,
        "links": links,
    }


def take_up(tree: Mapping[str, Any], picture: Picture, keys: Keys) -> bool:
    """Go on from what was written; False if it is of another machine or place, and so of no use.

    Raises LookupError, TypeError, ValueError for what was not written here.
    """
    if tree["version"] != VERSION or tree["keys"] != keys.links:
        return False
    history, values = picture.history, picture.values
    history.revision, history.term = int(tree["revision"]), int(tree["term"])
    for name, link in tree["links"].items():
        if link["value"] is not None:
            values.good[name] = Good(str(link["value"]), int(link["revision"]), float(link["taken"]))
        state, reason, detail, since = (link[key] for key in ("state", "reason", "detail", "since"))
        if "fault" in link:
            values.faults[name] = Fault(state, reason, detail, float(since), int(link["fault"]))
        if "version" in link:
            created, modified, digest = link["version"]
            history.keys[name] = Version(int(created), int(modified), str(digest))
        else:
            history.held[name] = Held(str(reason), float(since))
    return True


def load(path: Path) -> Mapping[str, Any] | None:
    """Return what is in the file, None if it is not there. Raises OSError, ValueError."""
    try:
        tree = json.loads(read_regular(path, LARGEST_SNAPSHOT))
    except FileNotFoundError:
        return None
    if not isinstance(tree, dict):
        raise ValueError("it is no object")
    return tree


def contact_of(contact: Contact, picture: Picture) -> dict[str, Any]:
    """Return what is written of the connection (config/links/snapshot.py, contact_in)."""
    return {
        "connected": contact.is_connected,
        "since": contact.since,
        "endpoint": contact.endpoint,
        "revision": max((version.modified for version in picture.history.keys.values()), default=0),
        "trouble": contact.trouble,
    }


def put(path: Path, tree: Mapping[str, Any]) -> None:
    """Replace a file that need not outlive a crash. Raises OSError."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(json.dumps(tree) + "\n")
    beside.chmod(0o644)
    beside.replace(path)


def save(path: Path, tree: Mapping[str, Any]) -> None:
    """Replace the file; after a crash it is the old one or the new one. Raises OSError."""
    beside = path.with_name(f".{path.name}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(json.dumps(tree, separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
