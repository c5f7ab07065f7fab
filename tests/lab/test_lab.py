"""`failoverd-lab` from its arguments to its output and exit status; its worlds are toys."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest

from failoverd_lab import cli as lab
from failoverd_lab import commands
from failoverd_lab.cli import main
from failoverd_lab.progress import Progress

WORLDS = tuple(lab.WORLDS)

GOOD = """
name = "good"
story = "The VF goes. And comes."
[[nic]]
id = "pv"
bus = "virtio"
mac = "52:54:00:fa:11:01"
[[nic]]
id = "vf"
bus = "pci"
mac = "52:54:00:fa:11:01"
[[then]]
wait = 1
do = "unplug"
nic = "vf"
[[then]]
see = {active = "pv"}
"""
SAD = GOOD.replace('"good"', '"sad"').replace('active = "pv"', 'active = "vf"')
UNTELLABLE = GOOD.replace('"good"', '"untellable"').replace('"unplug"', '"admin"\nup = false')
BAD = GOOD.replace('"pci"', '"isa"')


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worlds are toys, and the working directory has a shelf of scenarios."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "lab"))
    monkeypatch.setattr(lab, "WORLDS", {"sim": ("toy", "ToyWorld"), "vm": ("failoverd_lab.nowhere", "VmWorld")})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    for name, text in {"good": GOOD, "sad": SAD, "untellable": UNTELLABLE}.items():
        (tmp_path / "scenarios" / f"{name}.toml").write_text(text)
    (tmp_path / "bad.toml").write_text(BAD)


def test_a_story_told_as_expected_exits_0_and_shows_the_lanes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "scenarios/good.toml"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("good in toy: told as expected, 1 of 1 in 1.2 s\n")
    assert "\nactive     " in out
    assert err == "", "what takes no time needs no progress"


def test_the_worlds_of_the_table_are_those_there_are() -> None:
    assert commands.WORLDS == WORLDS


def test_a_name_from_the_shelf_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good", "--quiet"]) == 0
    assert capsys.readouterr().out == "good in toy: told as expected, 1 of 1 in 1.2 s\n"


def test_a_failed_expectation_exits_1_and_quiet_shows_only_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sad", "good", "--quiet"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        '  FAILED    6.000 s  active = "vf"',
        "          seen: pv",
        "          asked in scenarios/sad.toml:17",
        "good in toy: told as expected, 1 of 1 in 1.2 s",
    ]


def test_a_bad_file_exits_2_before_anything_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good", "bad.toml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith('bad.toml:10: nic.bus: "isa" is not known')


def test_a_world_that_cannot_tell_exits_3_and_the_other_stories_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "untellable", "good", "--quiet"]) == 3
    out, err = capsys.readouterr()
    assert "untellable in sim: scenarios/untellable.toml:14: admin vf down: a toy world cannot admin" in err
    assert out.startswith("good in toy: told as expected")


def test_a_world_that_is_not_installed_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good", "--in", "vm"]) == 3
    assert "failoverd_lab.nowhere is not part of this installation" in capsys.readouterr().err


def test_a_world_that_misses_a_package_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needy.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lab, "WORLDS", {"sim": ("needy", "SimWorld")})
    assert main(["run", "good"]) == 3
    assert "the Python module a_package_that_is_not_there is missing; install it" in capsys.readouterr().err


def test_a_lab_that_lacks_a_tool_says_which(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "toolless.py").write_text(
        "from failoverd_lab.host import tool\nfrom toy import ToyWorld\n"
        "class World(ToyWorld):\n    async def start(self, scenario, nursery): tool('no-such-tool')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lab, "WORLDS", {"sim": ("toolless", "World")})
    assert main(["run", "good"]) == 3
    assert "good in sim: no-such-tool is not installed" in capsys.readouterr().err


def test_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good", "sad", "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(document["scenario"], document["ok"]) for document in told] == [("good", True), ("sad", False)]


def test_the_picture_goes_to_a_file_or_for_several_to_a_directory(tmp_path: Path) -> None:
    assert main(["run", "good", "--svg", "one.svg", "--quiet"]) == 0
    assert (tmp_path / "one.svg").read_text().startswith("<svg ")
    (tmp_path / "many").mkdir()
    assert main(["run", "good", "sad", "--svg", "many", "--quiet"]) == 1
    assert {path.name for path in (tmp_path / "many").iterdir()} == {"good.svg", "sad.svg"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["good", "--svg", "no/where.svg"], "--svg no/where.svg: cannot be written: there is no directory no; make"),
        (["good", "sad", "--svg", "x.svg"], "--svg x.svg: is no directory, and 2 pictures need one; make it first"),
    ],
)
def test_a_picture_that_could_not_be_written_is_refused_first(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err


@pytest.mark.parametrize(("world", "story"), [("netns", "demo"), ("sim", "demo"), ("vm", "demo-guest")])
def test_the_demo_is_the_worlds_own_story_and_leaves_its_picture(
    world: str, story: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lab, "WORLDS", dict.fromkeys(("sim", "netns", "vm"), ("toy", "ToyWorld")))
    for name in ("demo", "demo-guest"):
        (tmp_path / "scenarios" / f"{name}.toml").write_text(GOOD.replace('"good"', f'"{name}"'))
    assert main(["demo", "--in", world]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{story} in toy: told as expected")
    assert out.endswith("the picture is in build/demo.svg\n")
    assert (tmp_path / "build" / "demo.svg").read_text().startswith("<svg ")


def test_list_shows_each_story_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "good              The VF goes."


def test_list_tells_of_bad_files_and_of_no_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["list", "."]) == 2
    assert 'bad.toml:10: nic.bus: "isa" is not known' in capsys.readouterr().err
    (tmp_path / "void").mkdir()
    assert main(["list", "void"]) == 2
    assert "no scenario in void; give a directory with some" in capsys.readouterr().err


def test_list_finds_the_checkouts_own_scenarios(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir("/")
    assert main(["list"]) == 0
    assert "\nvf-unplug " in capsys.readouterr().out


def test_check_reads_and_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "good"]) == 0
    assert capsys.readouterr().out == "scenarios/good.toml: fine; 2 items, 6 s at the longest\n"
    assert main(["check", "bad.toml", "good", "nowhere.toml"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("scenarios/good.toml: fine")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["bad.toml", "nowhere.toml"]


def test_wrong_usage_exits_2_and_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ([], ["run"], ["run", "good", "--in", "space"]):
        assert main(wrong) == 2
    assert main(["run", "--help"]) == 0
    assert "failoverd-lab run vf-unplug --in vm --svg u.svg" in capsys.readouterr().out


def test_an_interrupt_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "impatient.py").write_text(
        "from toy import ToyWorld\nclass World(ToyWorld):\n    def now(self): raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lab, "WORLDS", {"sim": ("impatient", "World")})
    assert main(["run", "good"]) == 130
    assert capsys.readouterr().err == "failoverd-lab: interrupted; the world has been taken down\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_for_those_who_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert lab._colour(Terminal())
    assert not lab._colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not lab._colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "")
    assert lab._colour(Terminal())


class Heard(io.StringIO):
    """A stream that says when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        self.written.set()


def test_progress_is_told_once_patience_is_lost_and_then_at_once() -> None:
    stream = Heard()
    progress = Progress(stream, patience=0.01)
    progress("booting")
    assert stream.written.wait(10)
    assert stream.getvalue().endswith("s  booting\n")
    progress("booted")
    assert stream.getvalue().endswith("s  booted\n")
    progress.close()
    progress("too late")
    assert "too late" not in stream.getvalue()


def test_progress_keeps_quiet_when_told_to_or_when_done_in_time() -> None:
    stream = Heard()
    silent = Progress(stream, silent=True, patience=0.0)
    silent("booting")
    quick = Progress(stream, patience=3600)
    quick("booting")
    quick.close()
    silent.close()
    assert stream.getvalue() == ""


def test_a_story_is_told_only_with_a_datapath_it_holds_for(capsys: pytest.CaptureFixture[str]) -> None:
    story = Path("scenarios/good.toml")
    story.write_text(story.read_text().replace("\n[[nic]]", '\ndatapaths = ["tc"]\n\n[[nic]]', 1))
    assert main(["run", "good"]) == 3
    assert "this story is one of tc, and pairs are joined by bond here" in capsys.readouterr().err
    assert main(["run", "good", "--datapath", "tc", "--quiet"]) == 0
