"""What the daemon keeps of attachments: files, notes, and what becomes of both where they are damaged."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from failoverd.config.links.snapshot import Merged
from failoverd.config.load import from_mapping
from failoverd.core.call_answers import CallError
from failoverd.daemon.attachments import AttachmentStore

NOTHING = Merged({})


def document(pod: str = "web", **keys: Any) -> bytes:
    usual = {
        "kind": "vlan",
        "id": 7,
        "lower": "master:ens3",
        "namespace": {"path": f"/run/netns/{pod}"},
        "device": "net1",
        "owner": {"pod": f"default/{pod}", "container": pod, "network": "net"},
    }
    return json.dumps(usual | keys).encode()


def store(where: Path) -> AttachmentStore:
    return AttachmentStore(where / "attachments", where / "cni")


def note(where: Path, name: str) -> Path:
    (where / "cni").mkdir(exist_ok=True)
    path = where / "cni" / name
    path.touch()
    return path


def test_what_is_attached_is_there_after_a_kill(tmp_path: Path) -> None:
    one = store(tmp_path)
    assert not one.kept()
    assert not (tmp_path / "attachments").exists()
    one.attach("cni-web", document(), NOTHING)
    one.attach("cni-db", document("db", id=8), NOTHING)
    again = store(tmp_path)
    assert again.is_whole
    assert {name: kept.end for name, kept in again.kept().items()} == {
        name: kept.end for name, kept in one.kept().items()
    }
    assert again.detach(["cni-web", "nothing", "../x"])
    assert not again.detach(["cni-web"])
    assert list(store(tmp_path).kept()) == ["cni-db"]


def test_the_same_once_more_replaces_what_was(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.attach("cni-web", document(), NOTHING)
    one.attach("cni-web", document(mtu=1400), NOTHING)
    assert [kept.end.mtu for kept in store(tmp_path).kept().values()] == [1400]


@pytest.mark.parametrize(
    ("name", "raw", "kind", "words"),
    [
        ("CNI", document(), "BadArgument", "'CNI' is no name of an attachment; give lower-case letters"),
        ("../x", document(), "BadArgument", "is no name of an attachment"),
        ("cni-a", b"{", "BadArgument", "this is not JSON"),
        ("cni-a", b"\xed\xa0\x80", "BadArgument", "is not UTF-8"),
        ("cni-a", document(id=5000), "BadArgument", "[link.cni-a] id"),
        ("cni-a", document("db"), "InUse", "VLAN 7 of master:ens3 is [link.cni-web] (attached for default/web)"),
        ("mine", document("db", id=9), "InUse", "a link mine is declared already (f)"),
    ],
)
def test_what_is_refused_changes_nothing(tmp_path: Path, name: str, raw: bytes, kind: str, words: str) -> None:
    files = Merged(from_mapping({"link": {"mine": {"kind": "dummy"}}}, "f").declared)
    one = store(tmp_path)
    one.attach("cni-web", document(), files)
    with pytest.raises(CallError) as caught:
        one.attach(name, raw, files)
    assert (caught.value.kind, words in str(caught.value)) == (kind, True), str(caught.value)
    assert [path.name for path in (tmp_path / "attachments").iterdir()] == ["cni-web"]
    assert list(one.kept()) == ["cni-web"]


def test_a_shared_vlan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.attach("cni-web", document(), NOTHING)
    with pytest.raises(CallError, match="VLAN 7 of master:ens3 is") as caught:
        one.attach("cni-db", _sharing("db"), NOTHING)
    assert caught.value.kind == "InUse"


def _sharing(pod: str) -> bytes:
    keys = json.loads(document(pod, kind="ipvlan", vlan={"id": 7}))
    del keys["id"]
    return json.dumps(keys).encode()


def test_where_nothing_can_be_written_nothing_is_attached(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_text("a file")
    one = store(tmp_path)
    with pytest.raises(CallError, match="cannot be written"):
        one.attach("cni-web", document(), NOTHING)
    assert not one.kept()


@pytest.mark.parametrize("damage", ["half", "fifo", "large"])
def test_a_file_that_cannot_be_read_keeps_every_device(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = store(tmp_path)
    one.attach("cni-web", document(), NOTHING)
    path = tmp_path / "attachments" / "cni-bad"
    match damage:
        case "half":
            path.write_bytes(document()[:20])
        case "fifo":
            os.mkfifo(path)
        case "large":
            path.write_bytes(b" " * 70_000)
    again = store(tmp_path)
    assert not again.is_whole
    assert list(again.kept()) == ["cni-web"]
    assert "cni-bad: " in caplog.text
    assert "no device of a link is removed" in caplog.text
    (tmp_path / "attachments" / ".cni-x.17").write_text("half written")
    path.unlink()
    assert store(tmp_path).is_whole


def test_notes_are_obeyed_and_taken_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    one = store(tmp_path)
    assert not one.obey()
    one.attach("cni-web", document(), NOTHING)
    for name in ("cni-web", "cni-unknown", "Odd Name"):
        note(tmp_path, name)
    (tmp_path / "cni" / "a-directory").mkdir()
    assert one.obey()
    assert not one.kept()
    assert not list((tmp_path / "attachments").iterdir())
    assert [path.name for path in (tmp_path / "cni").iterdir()] == ["a-directory"]
    assert "a-directory" in caplog.text
    assert not one.obey()


def pair(pod: str = "web") -> bytes:
    keys = json.loads(document(pod, kind="pair", lower="master:52:54:00:00:00:01"))
    del keys["id"]
    return json.dumps(keys).encode()


def test_a_master_in_a_pod_is_kept_until_it_is_at_home(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.attach("cni-web", pair(), NOTHING)
    one.attach("cni-db", document("db"), NOTHING)
    assert one.going() == frozenset()
    for name in ("cni-web", "cni-db"):
        one.note(name)
    assert one.obey()
    assert list(one.kept()) == ["cni-web"]
    again = store(tmp_path)
    assert again.going() == {"cni-web"}
    with pytest.raises(CallError, match="still on its way home; try again") as caught:
        again.attach("cni-web", pair(), NOTHING)
    assert caught.value.kind == "InUse"
    again.forget("cni-web")
    assert not again.kept()
    assert not again.obey()
    assert not [*(tmp_path / "attachments").iterdir(), *(tmp_path / "cni").iterdir()]


def test_a_note_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cni").write_text("a file")
    with pytest.raises(CallError, match="cannot be written"):
        store(tmp_path).note("cni-web")
