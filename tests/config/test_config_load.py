"""The files: which are read, in which order, and what is said of one that cannot be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from failoverd.config import load as load_module
from failoverd.config.bounds import LARGEST
from failoverd.config.errors import ConfigError
from failoverd.config.load import from_mapping, from_texts, load, load_beside, load_with_texts
from failoverd.config.spec import Bond, Config

NO_MAC = 65534


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """The place of the main file, with a directory for drop-ins beside it."""
    (tmp_path / "failoverd.toml.d").mkdir()
    return tmp_path / "failoverd.toml"


@contextmanager
def not_root() -> Iterator[None]:
    """Be somebody else for a while, as root may read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NO_MAC)
    try:
        yield
    finally:
        os.seteuid(was)


def drop_in(main: Path, name: str, text: str) -> Path:
    file = main.with_name("failoverd.toml.d") / name
    file.write_text(text)
    return file


def wrong(main: Path) -> list[str]:
    """What is wrong, a line each, without the folder's name."""
    with pytest.raises(ConfigError) as error:
        load(main)
    return str(error.value).replace(f"{main.parent}/", "").splitlines()


def test_drop_ins_come_after_the_main_file_in_the_order_of_their_names(main: Path) -> None:
    main.write_text("[bond]\nmiimon = 50\npeer_notifications = 2")
    drop_in(main, "20.toml", "[bond]\nmiimon = 70")
    drop_in(main, "10.toml", "[bond]\nmiimon = 60")
    drop_in(main, ".30.toml", "[bond]\nmiimon = 80")
    drop_in(main, "40.toml.save", "[bond]\nmiimon = 90")
    (main.with_name("failoverd.toml.d") / "30.toml").symlink_to("/dev/null")
    assert load(main).bond == Bond(miimon=70, peer_notifications=2)


def test_files_at_the_usual_place_are_optional(main: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "MAIN", main)
    assert load() == Config()
    drop_in(main, "10.toml", "[bond]\nmiimon = 60")
    assert load().bond.miimon == 60
    main.write_text("[bond]\npeer_notifications = 4")
    assert load().bond == Bond(miimon=60, peer_notifications=4)
    monkeypatch.setattr(load_module, "MAIN", main.parent / "none" / "failoverd.toml")
    assert load() == Config()


def test_a_main_file_that_is_named_must_be_there(main: Path) -> None:
    assert wrong(main) == ["failoverd.toml: cannot be read: No such file or directory; name another file"]


def test_what_is_in_the_way_of_a_file_is_named(main: Path) -> None:
    main.mkdir()
    drop_ins = main.with_name("failoverd.toml.d")
    os.mkfifo(drop_ins / "10.toml")
    (drop_ins / "20.toml").symlink_to("nowhere")
    drop_in(main, "30.toml", "#" * (LARGEST + 1))
    drop_in(main, "40.toml", "[bond]\nmiimon = 1")
    drop_in(main, "50.toml", "#" * LARGEST)
    assert [line.partition("; ")[0] for line in wrong(main)] == [
        "failoverd.toml: it is a directory, not a regular file",
        "failoverd.toml.d/10.toml: it is a FIFO, not a regular file",
        "failoverd.toml.d/20.toml: cannot be read: No such file or directory",
        f"failoverd.toml.d/30.toml: it is larger than {LARGEST} bytes",
        "failoverd.toml.d/40.toml:2: [bond] miimon: 1 is too small",
    ]
    assert [line.partition("; ")[2] for line in wrong(main)][1:3] == [
        "put a TOML file in its place",
        "make it readable for failoverd, or remove it",
    ]


def test_a_file_in_place_of_the_drop_in_directory(main: Path) -> None:
    main.touch()
    main.with_name("failoverd.toml.d").rmdir()
    main.with_name("failoverd.toml.d").touch()
    assert wrong(main) == [
        "failoverd.toml.d: cannot be read: Not a directory; make it a directory failoverd may list, or remove it"
    ]


def test_a_folder_that_may_not_be_searched(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with not_root():
        said = wrong(tmp_path / "shut" / "failoverd.toml")
    assert said == [
        "failoverd.toml: cannot be read: Permission denied; name another file",
        "failoverd.toml.d: cannot be read: Permission denied; make it a directory failoverd may list, or remove it",
    ]


def test_a_file_whose_name_is_no_text(main: Path) -> None:
    main.touch()
    file = os.fsencode(main.with_name("failoverd.toml.d")) + b"/\xff.toml"
    Path(os.fsdecode(file)).write_text("bond = 1")
    assert wrong(main) == ["failoverd.toml.d/\\xff.toml:1: [bond]: 1 is no section; write [bond], then its keys"]


def test_a_document_in_memory_has_a_name_and_no_lines() -> None:
    assert from_mapping({"bond": {"miimon": 50}}, "the story").bond.miimon == 50
    with pytest.raises(ConfigError) as error:
        from_mapping({"bond": {"miimon": "50"}}, "the story")
    assert str(error.value).startswith('the story: [bond] miimon: "50" is a text; give')


def test_a_file_whose_name_has_lines(main: Path) -> None:
    main.touch()
    Path(main.with_name("failoverd.toml.d"), "a\n\x1b[2Jb\u202e.toml").write_text("bond = 1")
    (line,) = wrong(main)
    assert line.startswith("failoverd.toml.d/a\\n\\x1b[2Jb\\u202e.toml:1: ")


def test_texts_that_were_read_before_are_the_same_configuration(main: Path) -> None:
    main.write_text("[bond]\nmiimon = 50")
    drop_in(main, "10.toml", "[bond]\nmiimon = 60")
    config, texts = load_with_texts(main)
    assert [name for name, _ in texts] == [str(main), f"{main}.d/10.toml"]
    assert from_texts(texts) == config == load(main)


def test_texts_that_are_no_toml_are_refused_all_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        from_texts([("a.toml", b"[bond"), ("b.toml", b"\xff"), ("c.toml", b"[bond]\nmiimon = 50")])
    assert [problem.file for problem in error.value.problems] == ["a.toml", "b.toml"]


def test_a_main_file_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="it names no file; name a TOML file"):
        load(Path("/"))


def test_a_file_is_read_as_one_more_drop_in_in_the_place_of_one_of_its_name(main: Path, tmp_path: Path) -> None:
    main.write_text("")
    same = drop_in(main, "10-first.toml", "[bond]\nmiimon = 50")
    drop_in(main, "30-last.toml", "[bond]\nmiimon = 70")
    more, instead = tmp_path / "20-more.toml", tmp_path / "30-last.toml"
    more.write_text("[bond]\nmiimon = 60\npeer_notifications = 2")
    instead.write_text("[bond]\npeer_notifications = 3")
    assert load_beside(more, main).bond == Bond(miimon=70, peer_notifications=2)
    assert load_beside(instead, main).bond == Bond(miimon=50, peer_notifications=3)
    assert load_beside(same, main) == load(main)
    with pytest.raises(ConfigError, match="name another file"):
        load_beside(tmp_path / "absent.toml", main)
