"""Quotations: verified if the text has exactly these characters, else failed with the first difference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payload import Evidence
from domain.quotation import Status, agreeing, flaw_of, selected, status_of

TEXT = "“Café” said 宁德时代 🌍 to the Café."
letters = st.sampled_from("ab宁🌍é\n ")
texts = st.text(letters, min_size=1, max_size=40)


def passage(**members: object) -> dict[str, object]:
    """Return a valid passage."""
    given_ = {"document": "documents/d", **members}
    Evidence.model_validate(given_)
    return given_


@st.composite
def ranges(draw: st.DrawFn, text: str) -> tuple[int, int]:
    start = draw(st.integers(0, len(text) - 1))
    return start, draw(st.integers(start + 1, len(text)))


@given(st.data(), texts)
def test_any_substring_of_a_text_is_verified(data, text):
    start, end = data.draw(ranges(text))
    for members in ({"start": start, "end": end}, {}):
        assert status_of(passage(exact=text[start:end], **members), text) is Status.VERIFIED
    assert status_of(passage(start=start, end=end), text) is Status.VERIFIED


@given(st.data(), texts, texts)
def test_quotation_with_a_position_is_verified_only_by_the_exact_text_there(data, text, exact):
    start, end = data.draw(ranges(text + exact))
    is_there = end <= len(text) and text[start:end] == exact
    found = flaw_of(passage(start=start, end=end, exact=exact), text)
    assert (found is None) == is_there
    if found is not None:
        assert found.pointer == ("/end" if end > len(text) else "/exact")


@given(texts, texts)
def test_quotation_without_a_position_is_verified_if_it_occurs_anywhere(text, exact):
    found = flaw_of(passage(exact=exact), text)
    assert (found is None) == any(text[at : at + len(exact)] == exact for at in range(len(text)))
    assert found is None or found.pointer == "/exact"


@given(texts, st.integers(0, 60), st.integers(1, 60))
def test_position_without_a_quotation_must_lie_within_the_text(text, start, size):
    found = flaw_of(passage(start=start, end=start + size), text)
    assert (found is None) == (start + size <= len(text))
    assert found is None or found.pointer == "/end"


@pytest.mark.parametrize(
    "exact", ["Cafe", "café", "Cafe\u0301", "Café ", "“Cafe\u0301”", "宁德时代  🌍", "\u200bCafé", '"Café"']
)
def test_quotations_are_not_normalised(exact):
    assert status_of(passage(exact=exact), TEXT) is Status.FAILED


def test_positions_count_code_points():
    start = TEXT.index("🌍")
    assert status_of(passage(start=start, end=start + 1, exact="🌍"), TEXT) is Status.VERIFIED
    assert status_of(passage(start=start, end=start + 2, exact="🌍"), TEXT) is Status.FAILED
    assert status_of(passage(start=start + 1, end=start + 2, exact="🌍"), TEXT) is Status.FAILED


@given(texts)
def test_without_text_or_quotation_the_status_is_unverified(text):
    assert status_of(passage(exact="a", start=0, end=1), None) is Status.UNVERIFIED
    assert status_of(passage(), text) is Status.UNVERIFIED
    assert flaw_of(passage(), text) is None


@given(st.data(), texts, texts)
def test_reported_difference_is_the_first(data, text, exact):
    start, end = data.draw(ranges(text))
    there = text[start:end]
    place, count = agreeing(exact, text, start, end)
    assert place == start
    assert exact[:count] == there[:count]
    assert count == len(exact) or count == len(there) or exact[count] != there[count]


@given(texts, texts)
def test_without_a_position_the_difference_follows_the_longest_prefix_found(text, exact):
    place, count = agreeing(exact, text)
    assert text[place : place + count] == exact[:count]
    assert count == len(exact) or exact[: count + 1] not in text


@given(st.data(), texts)
def test_selected_words_and_those_around_them_are_of_the_text(data, text):
    start, end = data.draw(ranges(text))
    for members in ({"start": start, "end": end}, {"exact": text[start:end]}):
        found = selected(passage(**members), text)
        assert found["exact"] == text[start:end] == text[found["start"] : found["end"]]
        around = found["prefix"] + found["exact"] + found["suffix"]
        assert around in text
        assert text[: found["start"]].endswith(found["prefix"])


def test_long_passage_is_selected_by_its_place_alone():
    text = "a" * 5_000
    assert "exact" not in selected(passage(start=10, end=4_000), text)
    assert selected(passage(start=10, end=4_000), text)["prefix"] == "a" * 10
