"""What describes an agreement, its parties, declarations and commitments, as it is shown and found."""

from __future__ import annotations

import pytest

from tests.recorded_views import RecordedViews, adopted, also_signed, parties, retracted, signed, step


def reference(slug: str) -> dict[str, str]:
    """Return a reference to a party that is named after its slug."""
    return {"subject": f"parties/{slug}", "name": slug}


def treaty(views: RecordedViews) -> None:
    """Record a treaty with its parties a and b, a depositary d and a secretariat s."""
    views.record(
        *parties("a", "b", "c", "d", "s"),
        signed(
            "t",
            "2024-01-10",
            "a",
            "b",
            place="Oslo",
            other_titles=["Oslo Accord", {"zh": "奥斯陆协定"}],
            languages=["en", "zh"],
            depositary="parties/d",
            secretariat="parties/s",
        ),
    )


def test_other_titles_languages_depositary_and_secretariat_are_shown(views):
    treaty(views)
    state = views.state("agreements/t")
    assert state["other_titles"] == ["Oslo Accord", {"zh": "奥斯陆协定"}]
    assert state["languages"] == ["en", "zh"]
    assert (state["depositary"], state["secretariat"]) == (reference("d"), reference("s"))
    for field in ("other_titles", "languages", "depositary", "secretariat"):
        assert state["events"][field] == [6]


@pytest.mark.parametrize("words", ["oslo accord", "奥斯陆"])
def test_agreement_is_found_by_another_title(views, words):
    treaty(views)
    assert views.subjects("agreements", q=words) == ["agreements/t"]
    found = views.reader.search(words, views.question(), limit=10, after=None).items
    assert [item["subject"] for item in found] == ["agreements/t"]


def test_depositary_and_secretariat_are_no_parties(views):
    treaty(views)
    views.record(step("ratified", "t", "2024-02-01", "d"))
    assert [item["party"]["subject"] for item in views.items("memberships", in_="agreements/t")] == [
        "parties/a",
        "parties/b",
        "parties/d",
    ]
    assert views.membership("parties/d", "agreements/t")["status"] == "bound"
    assert views.subjects("agreements", party="parties/s") == []


def test_depositary_that_signs_is_a_party(views):
    views.record(*parties("a", "d"), signed("t", "2024-01-10", "a", "d", depositary="parties/d"))
    assert views.membership("parties/d", "agreements/t")["status"] == "signed"


def test_later_signature_fills_absent_fields_and_has_a_place_of_its_own(views):
    treaty(views)
    later = {"place": "Rome", "summary": "peace", "depositary": "parties/c", "other_titles": ["Other"]}
    views.record(also_signed("t", "2024-03-01", "c", **later))
    state = views.state("agreements/t")
    assert (state["place"], state["summary"], state["depositary"]) == ("Oslo", "peace", reference("d"))
    assert state["other_titles"] == ["Oslo Accord", {"zh": "奥斯陆协定"}]
    steps = {item["party"]["subject"]: item["steps"][0]["place"] for item in state["parties"]}
    assert steps == {"parties/a": "Oslo", "parties/b": "Oslo", "parties/c": "Rome"}


def test_party_signs_in_two_roles(views):
    views.record(*parties("a", "b"))
    signatories = [
        {"party": "parties/a", "role": "host"},
        {"party": "parties/b"},
        {"party": "parties/a", "role": {"en": "guarantor"}},
    ]
    views.record(signed("t", "2024-01-10", parties=signatories))
    found = views.items("memberships", in_="agreements/t")
    assert [(item["party"]["subject"], item.get("role"), item.get("roles")) for item in found] == [
        ("parties/a", "host", ["host", {"en": "guarantor"}]),
        ("parties/b", None, None),
    ]
    first, second = views.state("agreements/t")["parties"]
    assert (first["role"], first["roles"]) == ("host", ["host", {"en": "guarantor"}])
    assert "role" not in second


def test_entry_into_force_between_some_parties_is_shown_with_its_step(views):
    treaty(views)
    views.record(
        step("ratified", "t", "2024-02-01", "c"),
        step("entered-into-force", "t", "2024-04-01", "c", with_=["parties/a", "parties/b"]),
    )
    with_ = [reference("a"), reference("b")]
    for found in (views.membership("parties/c", "agreements/t"), views.state("agreements/t")["parties"][2]):
        assert (found["status"], found["steps"][-1]["with"]) == ("in-force", with_)
    assert views.membership("parties/a", "agreements/t")["status"] == "signed"
    assert [step["type"] for step in views.membership("parties/a", "agreements/t")["steps"]] == ["agreement.signed"]


def test_consents_have_their_instrument_and_territory(views):
    treaty(views)
    views.record(
        step("ratified", "t", "2024-02-01", "a", instrument="definitive-signature", territory="Guam"),
        step("acceded", "t", "2024-02-01", "c", instrument="participation", territory={"en": "Aruba"}),
    )
    ratified = views.membership("parties/a", "agreements/t")["steps"][-1]
    acceded = views.membership("parties/c", "agreements/t")["steps"][-1]
    assert (ratified["instrument"], ratified["territory"]) == ("definitive-signature", "Guam")
    assert (acceded["instrument"], acceded["territory"]) == ("participation", {"en": "Aruba"})


def test_objection_names_the_declaration_that_it_is_about(views):
    treaty(views)
    made = views.record(step("declaration-made", "t", "2024-02-01", "a", kind="reservation", territory="Guam"))
    views.record(step("declaration-made", "t", "2024-03-01", "b", kind="objection", about=made))
    reservation, objection = views.state("agreements/t")["declarations"]
    assert (reservation["territory"], "text" in reservation, "about" in reservation) == ("Guam", False, False)
    assert objection["about"] == made


@pytest.mark.parametrize("about", [1, 6, 999])
def test_objection_to_what_is_no_declaration_of_the_agreement_is_refused(views, about):
    treaty(views)
    views.record(adopted("u"), step("declaration-made", "u", "2024-02-01", "a", kind="reservation"))
    refused = views.refused(step("declaration-made", "t", "2024-03-01", "b", kind="objection", about=about))
    assert [flaw.pointer for flaw in refused.flaws] == ["/data/about"]
    refused = views.refused(step("declaration-made", "t", "2024-03-01", "b", kind="objection", about=8))
    assert [flaw.pointer for flaw in refused.flaws] == ["/data/about"]


def test_declaration_that_an_objection_is_about_is_not_retracted(views):
    treaty(views)
    made = views.record(step("declaration-made", "t", "2024-02-01", "a", kind="reservation"))
    objection = views.record(step("declaration-made", "t", "2024-03-01", "b", kind="objection", about=made))
    assert views.refused(retracted("agreements/t", made)).positions == (objection,)
    views.record(retracted("agreements/t", objection), retracted("agreements/t", made))
    assert views.state("agreements/t")["declarations"] == []


def test_commitment_has_an_amount_in_a_unit_and_may_be_breached(views):
    treaty(views)
    views.record(
        step(
            "commitment-made",
            "t",
            "2024-02-01",
            commitment="storage",
            kind="target",
            title="Storage",
            amount={"value": "200", "unit": "GWh"},
        ),
        step("commitment-updated", "t", "2024-03-01", commitment="storage", status="breached"),
    )
    for found in (views.items("commitments"), views.items("commitments", status="breached")):
        assert [(item["status"], item["amount"]) for item in found] == [("breached", {"value": "200", "unit": "GWh"})]
    assert [item["commitment"] for item in views.items("commitments", q="GWh")] == ["storage"]
    assert views.reader.statistics(views.question())["commitments"]["status"] == {"breached": 1}
