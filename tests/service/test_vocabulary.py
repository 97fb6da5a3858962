"""The vocabulary: every word has one plain sentence, and `registry explain` finds it."""

from __future__ import annotations

import pytest

from domain.catalogue import CATALOGUE
from service.problems import KINDS
from service.vocabulary import explain, vocabulary
from tests.service.commands import done, refused


def test_every_word_has_a_sentence():
    assert not [entry for entry in vocabulary() if not entry.sentence]


def test_every_type_and_problem_is_a_word():
    words = {entry.word for entry in vocabulary()}
    assert set(CATALOGUE) <= words
    assert set(map(str, KINDS)) <= words


@pytest.mark.parametrize("word", ["in-force", "In Force", "in_force"])
def test_word_is_found_in_any_spelling(word):
    assert {(entry.what, entry.of) for entry in explain(word)} == {("status", "agreements"), ("status", "memberships")}


@pytest.mark.parametrize("word", ["certain", "possible"])
def test_certainties_are_words(word):
    assert [entry.what for entry in explain(word)] == ["certainty"]


def test_part_of_a_word_finds_the_words_that_contain_it():
    assert {entry.word for entry in explain("recruitment")} >= {"lab.recruitment-opened", "lab.recruitment-closed"}


def test_command_explains_a_word_and_refuses_an_unknown_one():
    assert b"bound (status of memberships): The party has consented to be bound" in done("explain", "bound")
    assert "no word of the registry is 'nothing-at-all'" in refused("explain", "nothing", "at", "all", code=1)
