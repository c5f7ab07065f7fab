"""The picture, read back as the XML it is."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.drawing.labels import GLYPH, stagger
from failoverd.drawing.picture import RIGHT, WIDTH
from failoverd_lab.picture import LEFT, nice_step, silences, svg
from failoverd_lab.report import Report
from failoverd_lab.story import DIRECTIONS, Nic, Scenario
from failoverd_lab.world import Mark, Probe, Recording, Span

MAC = "52:54:00:fa:11:01"
SCENARIO = Scenario("a-story", "It is <told> & drawn.", (Nic("pv", "virtio", MAC), Nic("vf", "pci", MAC)), ())
NS = "{http://www.w3.org/2000/svg}"


def flow(length: float, *holes: tuple[float, float]) -> list[Probe]:
    times = [number / 100 for number in range(int(length * 100))]
    lost = [any(start <= at < end for start, end in holes) for at in times]
    return [
        Probe(w, at, None if gone else at + 0.001) for at, gone in zip(times, lost, strict=True) for w in DIRECTIONS
    ]


RECORDING = Recording(
    10.0,
    flow(10, (4.0, 4.08), (4.2, 4.25), (9.9, 10)),
    [
        Span("primary", 0, 4, "vf"),
        Span("primary", 4, 6, "vf, no carrier"),
        Span("primary", 6, 6.7, "vf, not a slave"),
        Span("standby", 0, 10, "pv"),
        Span("active", 0, 0.01, "none"),
        Span("active", 0.01, 10, "stranger"),
    ],
    [Mark(4.0, "carrier vf <down>"), Mark(9.9, "the last of the marks")],
)


def draw(recording: Recording) -> ElementTree.Element:
    return ElementTree.fromstring(svg(Report(SCENARIO, "sim", (), recording)))


def texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{NS}text")]


def bars(root: ElementTree.Element) -> dict[str, tuple[str, float, float]]:
    """Each span's class, left edge and width, by its tooltip."""
    found = {}
    for group in root.iter(f"{NS}g"):
        rect = group.find(f"{NS}rect")
        assert rect is not None
        found[group.findtext(f"{NS}title", "")] = (
            rect.get("class", ""),
            float(rect.get("x", 0)),
            float(rect.get("width", 0)),
        )
    return found


def test_it_is_a_document_with_a_title_and_a_description() -> None:
    root = draw(RECORDING)
    assert root.get("aria-labelledby") == "title desc"
    assert root.findtext(f"{NS}title") == "a-story, told in sim"
    assert (root.findtext(f"{NS}desc") or "").startswith("It is <told> & drawn. to-guest: longest silence 109 ms")


def test_a_bar_lies_where_its_time_is_and_is_coloured_by_its_nic() -> None:
    found = bars(draw(RECORDING))
    scale = (WIDTH - LEFT - RIGHT) / 10
    assert found["vf, 0.000 to 4.000 s"] == ("vf", LEFT, pytest.approx(4 * scale))
    assert found["pv, 0.000 to 10.000 s"][0] == "pv"
    assert found["vf, no carrier, 4.000 to 6.000 s"] == (
        "vf",
        pytest.approx(LEFT + 4 * scale),
        pytest.approx(2 * scale),
    )
    assert found["none, 0.000 to 0.010 s"] == ("other", LEFT, 1.0)
    assert found["stranger, 0.010 to 10.000 s"][0] == "other"


def test_what_is_amiss_is_hatched_and_a_text_is_left_out_where_it_does_not_fit() -> None:
    root = draw(RECORDING)
    hatched = [
        rect
        for group in root.iter(f"{NS}g")
        for rect in group.findall(f"{NS}rect")
        if rect.get("fill") == "url(#amiss)"
    ]
    assert len(hatched) == 3
    words = texts(root)
    assert "vf, no carrier" in words
    assert "vf, not a slave" not in words
    assert words.count("vf") == 2
    assert "none" not in words


def test_each_lost_probe_has_a_tick_and_each_silence_its_length() -> None:
    root = draw(RECORDING)
    lost = [path.get("d", "") for path in root.iter(f"{NS}path") if path.get("class") == "lost"]
    assert [len(re.findall("M", path)) for path in lost] == [8 + 5 + 10, 8 + 5 + 10, 1]
    assert silences(Report(SCENARIO, "sim", (), RECORDING), "to-guest") == [
        (pytest.approx(3.991), pytest.approx(4.081)),
        (pytest.approx(4.191), pytest.approx(4.251)),
        (pytest.approx(9.891), 10.0),
    ]
    words = texts(root)
    assert words.count("90 ms") == words.count("109 ms") == 2
    assert "60 ms" not in words, "a label that would lie on its neighbour is left out; its bracket stays"
    assert len([path for path in root.iter(f"{NS}path") if path.get("class") == "quiet"]) == 6 + 1


def test_an_undisturbed_story_has_no_ticks_and_no_marks() -> None:
    root = draw(Recording(3.0, flow(3)))
    classes = [path.get("class") for path in root.iter(f"{NS}path")]
    assert classes.count("lost") == 1, "the legend's own"
    assert "mark" not in classes
    assert not bars(root)


def test_nothing_recorded_is_still_a_picture() -> None:
    assert "0 s" in texts(draw(Recording(0.0)))


@given(st.lists(st.tuples(st.floats(LEFT, WIDTH - RIGHT), st.text("abc", min_size=1, max_size=30)), max_size=12))
def test_no_two_texts_of_marks_meet_and_none_leaves_the_picture(marks: list[tuple[float, str]]) -> None:
    labels = stagger(marks, WIDTH)
    assert sorted((label.at, label.text) for label in labels) == sorted(marks)
    for label in labels:
        assert label.left >= 0
        assert label.left + len(label.text) * GLYPH <= WIDTH
    for one, other in itertools.combinations(labels, 2):
        apart = one.left + len(one.text) * GLYPH <= other.left or other.left + len(other.text) * GLYPH <= one.left
        assert apart or one.row != other.row


@given(st.floats(0.001, 100_000))
def test_an_axis_has_a_readable_number_of_ticks(length: float) -> None:
    assert length <= 0.012 or 4 <= length / nice_step(length) <= 12


def test_a_master_that_moves_has_a_lane_for_where_it_is() -> None:
    root = draw(Recording(10.0, flow(3), [Span("namespace", 0.0, 4.0, "home"), Span("namespace", 4.0, 10.0, "web")]))
    found = bars(root)
    assert found["web, 4.000 to 10.000 s"][0] == "other"
    assert {"namespace", "home", "web"} <= set(texts(root))
    assert "namespace" not in texts(draw(RECORDING))
