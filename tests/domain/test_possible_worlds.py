"""The evaluation of possible worlds takes bounded time, and uses the earliest days where there are too many worlds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.edtf import AFTER, BEFORE
from domain.possible_worlds import MOST_IMPRECISE, MOST_WAYS, Step, evaluate

Steps = frozenset[str]
NONE: Steps = frozenset()


def count(state: int, step: Step) -> int:
    return state + 1


def each_once(state: Steps, step: Step) -> Steps | None:
    return None if step.name in state else state | {step.name}


def steps(number: int, lo: int, hi: int, what: str = "{}") -> list[Step]:
    return [Step(what.format(index), lo, hi, (0, "", f"{index:03}")) for index in range(number)]


def test_exact_date_gives_one_possible_world():
    found = evaluate([Step("a", 5, 5), Step("b", 7, 7)], count, 0)
    assert [(segment.valid_from, segment.default_state, set(segment.states)) for segment in found.segments] == [
        (0, 0, {0}),
        (5, 1, {1}),
        (7, 2, {2}),
    ]
    assert (set(found.end_states), found.is_satisfiable) == ({2}, True)


def test_imprecise_date_is_possible_until_its_last_day():
    found = evaluate([Step("a", 5, 8)], count, 0)
    assert [(segment.valid_from, segment.default_state, set(segment.states)) for segment in found.segments] == [
        (0, 0, {0}),
        (5, 1, {0, 1}),
        (8, 1, {1}),
    ]


def test_states_reached_only_by_a_contradiction_are_not_possible():
    found = evaluate([Step("same", 5, 9), Step("same", 7, 7)], each_once, NONE)
    assert not found.is_satisfiable
    assert set(found.end_states) == {frozenset(("same",))}


def test_too_many_imprecise_dates_are_evaluated_at_their_earliest_day():
    found = evaluate(steps(MOST_IMPRECISE + 3, 5, 9), count, 0)
    known = {segment.valid_from: (segment.default_state, set(segment.states)) for segment in found.segments}
    assert known[5] == (MOST_IMPRECISE + 3, set(range(3, MOST_IMPRECISE + 4)))
    assert known[9] == (MOST_IMPRECISE + 3, {MOST_IMPRECISE + 3})


def test_evaluation_of_many_dates_takes_bounded_time():
    for many in (steps(200, 5, 9), [*steps(60, 5, 900), *steps(60, 100, 100)], steps(40, 5, 9, "same")):
        calls = 0

        def counted(state: Steps, step: Step) -> Steps | None:
            nonlocal calls
            calls += 1
            return each_once(state, step)

        found = evaluate(many, counted, NONE)
        assert found.segments[-1].default_state
        assert calls < 50 * MOST_WAYS


@given(
    st.tuples(st.sampled_from((BEFORE, 5, 6, AFTER)), st.sampled_from((BEFORE, 5, 6, 9, AFTER))).filter(
        lambda days: days[0] <= days[1]
    )
)
def test_single_step_gives_the_same_as_beside_a_step_without_effect(days):
    def heed_the_one(state: int, step: Step) -> int:
        return state + (step.name == "one")

    lo, hi = days
    alone = evaluate([Step("one", lo, hi)], heed_the_one, 0)
    for day in (1, AFTER - 1):
        beside = evaluate([Step("one", lo, hi), Step("other", day, day, (1, "", ""))], heed_the_one, 0)
        assert alone == beside._replace(
            segments=tuple(segment for segment in beside.segments if segment.valid_from in (BEFORE, lo, hi))
        )
