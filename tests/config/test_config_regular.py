"""What is read is a regular file, or masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from failoverd.config.regular import NotRegularError, read_regular


def test_dev_null_is_a_file_without_anything_in_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.symlink_to("/dev/null")
    assert read_regular(path, 10, follow=True) == b""
    with pytest.raises(NotRegularError, match="it is a symbolic link"):
        read_regular(path, 10)


def test_a_mask_that_comes_between_the_look_and_the_open_is_empty_too(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path(__file__).stat()
    monkeypatch.setattr("failoverd.config.regular.os.lstat", lambda _path: usual)
    assert read_regular("/dev/null", 10) == b""
