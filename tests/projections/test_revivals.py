"""A fact cannot become current while a subject it names is retracted."""

from __future__ import annotations

from domain.errors import Contradiction
from tests.given import adopted, corrected, event, joined, parties, platform, retracted, signed, world


def test_retraction_of_a_correction_is_refused_if_its_original_party_is_gone():
    with world() as made:
        made.take(*parties("a", "b"), adopted("t", "2000"))
        reservation = {"kind": "reservation", "text": "but"}
        at = made.take(event("agreement.declaration-made", "agreements/t", party="parties/b", **reservation))
        change = made.take(corrected("agreements/t", at, data={"party": "parties/a", **reservation}))
        gone = made.take(retracted("parties/b", 2))
        refused = made.refused(retracted("agreements/t", change))
        assert isinstance(refused, Contradiction)
        assert {at, gone} <= set(refused.positions)


def test_retraction_of_a_retraction_is_refused_if_the_subject_is_gone():
    with world() as made:
        made.take(*parties("a"), platform("p", "2000"))
        at = made.take(joined("a", "p", "2001"))
        undone = made.take(retracted("platforms/p", at))
        made.take(retracted("platforms/p", 2))
        refused = made.refused(retracted("platforms/p", undone))
        assert isinstance(refused, Contradiction)
        assert at in refused.positions


def test_retraction_of_a_retraction_is_refused_if_a_party_of_the_creation_is_gone():
    with world() as made:
        made.take(*parties("a"))
        at = made.take(signed("t", "2020-01-01", "a"))
        undone = made.take(retracted("agreements/t", at))
        gone = made.take(retracted("parties/a", 1))
        refused = made.refused(retracted("agreements/t", undone))
        assert isinstance(refused, Contradiction)
        assert {at, gone} <= set(refused.positions)
