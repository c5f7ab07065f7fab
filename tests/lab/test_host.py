"""The cache: built once, whole or not at all, by one at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from failoverd_lab import host
from failoverd_lab.host import LabError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAILOVERD_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAILOVERD_LAB_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert host.cache_dir() == Path("/x/failoverd-lab")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert host.cache_dir() == Path("/home/u/.cache/failoverd-lab")
    monkeypatch.setenv("FAILOVERD_LAB_CACHE", "/y")
    assert host.cache_dir() == Path("/y")


def test_a_thing_is_built_once_even_if_two_want_it(cache: Path) -> None:
    built: list[Path] = []
    told: list[str] = []
    found: list[Path] = []

    async def build(into: Path) -> None:
        built.append(into)
        (into / "a").write_text("half")
        while not told:
            await trio.sleep(0.01)
        assert not (cache / "thing").exists()
        (into / "a").write_text("whole")

    async def want() -> None:
        found.append(await host.cached("thing", build, told.append))

    async def main() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(want)
                nursery.start_soon(want)
            await want()

    trio.run(main)
    assert len(built) == 1
    assert told == ["another process is building thing; waiting for it"]
    assert found == [cache / "thing"] * 3
    assert (cache / "thing" / "a").read_text() == "whole"


def test_half_a_build_is_no_build(cache: Path) -> None:
    async def fail(into: Path) -> None:
        (into / "a").write_text("half")
        raise LabError("no network")

    async def build(into: Path) -> None:
        (into / "a").write_text("whole")

    with pytest.raises(LabError, match="no network"):
        trio.run(host.cached, "thing", fail)
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    assert (trio.run(host.cached, "thing", build) / "a").read_text() == "whole"


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"qemu-img is not installed; .*: apt-get install qemu-utils"):
        host.tool("qemu-img")


def test_a_tool_that_fails_is_quoted() -> None:
    with pytest.raises(LabError, match=r"sh failed \(exit code 3\): went wrong"):
        trio.run(host.call, ["sh", "-c", "echo went wrong >&2; exit 3"])
    assert trio.run(host.call, ["sh", "-c", "echo well"]) == "well\n"


def test_an_only_error_comes_out_of_the_nursery_as_itself() -> None:
    async def fail(text: str) -> None:
        raise LabError(text)

    async def main(*texts: str) -> None:
        async with host.open_nursery() as nursery:
            for text in texts:
                nursery.start_soon(fail, text)
            if not texts:
                nursery.start_soon(trio.sleep_forever)
                raise LabError("from the block")

    with pytest.raises(LabError, match="from a task"):
        trio.run(main, "from a task")
    with pytest.raises(LabError, match="from the block"):
        trio.run(main)
    with pytest.raises(ExceptionGroup) as both:
        trio.run(main, "one", "two")
    assert sorted(map(str, both.value.exceptions)) == ["one", "two"]


def test_a_cancelled_nursery_ends_quietly() -> None:
    async def main() -> None:
        with trio.move_on_after(0) as scope:
            async with host.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
        assert scope.cancelled_caught

    trio.run(main)
