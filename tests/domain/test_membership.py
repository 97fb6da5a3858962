"""The evaluation of a membership from the order of its steps equals the general one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.catalogue import CATALOGUE
from domain.corrections import Fact
from domain.edtf import BEFORE, UNKNOWN, Span, parse_edtf, span_of
from domain.membership import NEVER, Lifespan, PartyLifespan, evaluate_memberships, membership_periods, periods_of

OF_AGREEMENTS = ("signed", "ratified", "acceded", "entered-into-force", "provisionally-applied", "suspended", "resumed")
OWN = tuple(f"agreement.{what}" for what in (*OF_AGREEMENTS, "withdrawn"))
WHOLE = tuple(f"agreement.{what}" for what in (*OF_AGREEMENTS[3:], "terminated"))
MEMBER = ("platform.member-joined", "platform.member-changed", "platform.member-left")
ANY_DATA: dict[str, Any] = {
    "party": "parties/a",
    "parties": ({"party": "parties/a"},),
    "reason": "expired",
    "category": "full",
}

precise = st.sampled_from(("2020-03-10", "2020-03-11", "2021-05-05", "2022-01-01"))
dates = st.one_of(precise, st.sampled_from((None, "2020", "2021-02/2021-06", "2020/..")))
lifespans = st.builds(
    Lifespan,
    st.sampled_from((Span(BEFORE, BEFORE), UNKNOWN, parse_edtf("2019"), parse_edtf("2020-03-10"))),
    st.sampled_from((None, parse_edtf("2022-01-01"), parse_edtf("2021"))),
    st.booleans(),
)


@st.composite
def facts(draw: Any, kinds: Sequence[str], first: int = 1) -> list[Fact]:
    """Draw facts of some types, on few days, so that some share one."""
    found: list[Fact] = []
    days, most = draw(st.sampled_from(((precise, 6), (dates, 3))))
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1 if first == 1 else 0, max_size=most)):
        data, occurred = CATALOGUE[kind].data, draw(days)
        stated = {name: value for name, value in ANY_DATA.items() if name in data.model_fields}
        if first > 1:
            stated.pop("party", None)
        if "effective" in data.model_fields:
            stated["effective"] = draw(days)
        at = first + len(found)
        subject = f"{CATALOGUE[kind].collection}/x"
        record = data.model_validate(stated)
        found.append(
            Fact(at, subject, kind, "s", f"e{at}", occurred, span_of(occurred), span_of(occurred).hi, record, (at,))
        )
    return sorted(found, key=lambda fact: fact.order)


membership_facts: st.SearchStrategy[Any] = st.one_of(
    st.tuples(facts(OWN), facts(WHOLE, 100)), st.tuples(facts(MEMBER), st.just([]))
)


consents = st.sampled_from((NEVER, *map(parse_edtf, ("2020-03-10", "2021-05-05", "2021", "2030"))))


@st.composite
def party_lifespans(draw: Any) -> PartyLifespan | None:
    """Draw the lifespan of a party, if any of it is known."""
    created = draw(st.sampled_from((None, "2019", "2020-03-11")))
    occurred = draw(st.sampled_from((None, "2021-05-05", "2021", "2022-01-01")))
    if created is None and occurred is None:
        return None
    end = None if occurred is None else span_of(occurred)
    kind = "party.dissolved"
    ended = [
        Fact(200, "parties/a", kind, "s", "e200", occurred, span, span.hi, CATALOGUE[kind].nothing, (200,))
        for span in ([] if end is None else [end])
    ]
    again = draw(st.sampled_from((None, "2022-01-01", "2022"))) if ended and draw(st.booleans()) else ""
    if again == "":
        return PartyLifespan(Lifespan(Span(BEFORE, BEFORE) if created is None else span_of(created), end), ended)
    span, kind = span_of(again), "party.re-established"
    back = Fact(201, "parties/a", kind, "s", "e201", again, span, span.hi, CATALOGUE[kind].nothing, (201,))
    return PartyLifespan(Lifespan(Span(BEFORE, BEFORE) if created is None else span_of(created)), ended, [back])


@given(membership_facts, lifespans, consents, party_lifespans())
def test_membership_equals_the_general_evaluation(drawn, lifespan, consented, party):
    own, whole = drawn
    general = periods_of(evaluate_memberships(own, whole, lifespan, consented=consented, party=party))
    assert membership_periods(own, whole, lifespan, consented=consented, party=party) == general


@given(membership_facts, lifespans, party_lifespans())
def test_only_ends_follow_the_end_of_a_party(drawn, lifespan, party):
    own, whole = drawn
    if party is None or party.lifespan.end is None:
        return
    for days in membership_periods(own, whole, lifespan, party=party):
        if days.valid_from >= party.lifespan.end.hi:
            assert days.status in ("ended", "withdrawn", "left")


@given(membership_facts, lifespans, consents)
def test_cached_membership_equals_one_computed_from_its_facts(drawn, lifespan, consented):
    own, whole = drawn
    own_again, whole_again = ([fact._replace(span=Span(*fact.span)) for fact in facts] for facts in drawn)
    assert membership_periods(own_again, whole_again, lifespan, consented=consented) == membership_periods(
        own, whole, lifespan, consented=consented
    )
