"""Random but repeatable facts about a few subjects, which may be recorded in any order, corrected, retracted, disputed
and merged."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.contract.server import SHA, Event, event


def some_date(choice: random.Random) -> str | None:
    """Any form of date."""
    year = choice.randrange(2000, 2012)
    exact = f"{year}-0{choice.randrange(1, 10)}-1{choice.randrange(10)}"
    return choice.choice([
        None, f"{year}", f"{year}-0{choice.randrange(1, 10)}", exact, exact, f"{year}-05-05~", f"{year}/{year + choice.randrange(1, 4)}", f"{year}-03/..", "XXXX-08-18",
    ])  # fmt: skip


@dataclass(frozen=True)
class Cast:
    """The subjects of a story."""

    parties: list[str]
    agreements: list[str]
    lab: str
    platforms: list[str]
    document: str

    @classmethod
    def named(cls, tag: str) -> Cast:
        return cls(
            [f"parties/{tag}p{n}" for n in range(5)],
            [f"agreements/{tag}a{n}" for n in range(2)],
            f"labs/{tag}l",
            [f"platforms/{tag}f{n}" for n in range(2)],
            f"documents/{tag}d",
        )

    @property
    def subjects(self) -> list[str]:
        return [*self.parties, *self.agreements, self.lab, *self.platforms, self.document]

    def making(self, choice: random.Random) -> list[Event]:
        """Return the events that create them all."""
        one, two, *_ = self.parties
        when = lambda: some_date(choice)  # noqa: E731
        return [
            *(
                event(
                    "party.registered",
                    party,
                    choice.choice([None, None, "1999", "2001"]),
                    name=f"Party {party[-2:]}",
                    kind="company",
                )
                for party in self.parties
            ),
            event("document.registered", self.document, title="D", sha256=SHA),
            event("agreement.adopted", self.agreements[0], when(), title="First", kind="treaty"),
            event(
                "agreement.signed",
                self.agreements[1],
                when(),
                title="Second",
                kind="contract",
                parties=[{"party": one}, {"party": two}],
                until=when() or "2010",
            ),
            event(
                "lab.founded",
                self.lab,
                when(),
                name="L",
                founders=[one, two],
                under=self.agreements[0],
                phases=[{"phase": "a"}, {"phase": "b", "after": ["a"]}],
            ),
            *(event("platform.launched", platform, when(), name="F", convened_by=[one]) for platform in self.platforms),
        ]

    def fact(self, choice: random.Random, number: int) -> Event:
        """Return one more fact of any kind."""
        party, other, agreement, platform = (
            choice.choice(self.parties),
            choice.choice(self.parties),
            choice.choice(self.agreements),
            choice.choice(self.platforms),
        )
        when = some_date(choice)
        both = [{"party": party, "role": "r"}] + ([{"party": other}] if other != party else [])
        later = some_date(choice) or "2009"
        seldom = choice.random() < 0.25
        cited = {"evidence": [{"document": self.document, "exact": "x"}]} if choice.random() < 0.1 else {}
        kinds: list[tuple[str, str, dict[str, Any]]] = [
            ("party.renamed", party, {"name": f"R{number}", **cited}), ("party.name-added", party, {"name": f"N{number}"}), ("party.identified", party, {"scheme": "lei", "value": f"{number}"}),
            ("party.reorganized", party, {"part_of": choice.choice([other, None])}),
            ("party.owner-added", party, {"owner": other, "share": choice.choice(["50", "12.5"])}), ("party.owner-removed", party, {"owner": other}),
            ("party.re-established", party, {}),
            ("party.dissolved", party, {"successors": [other]}) if seldom else ("party.name-added", party, {"name": f"M{number}"}),
            ("agreement.signed", agreement, {"parties": both, **cited}), ("agreement.ratified", agreement, {"party": party}), ("agreement.acceded", agreement, {"party": party}),
            ("agreement.entered-into-force", agreement, {}), ("agreement.entered-into-force", agreement, {"party": party}), ("agreement.provisionally-applied", agreement, {"party": party}),
            ("agreement.amended", agreement, {"summary": f"S{number}", "title": f"T{number}", "scope_added": [f"s{number}"]}), ("agreement.renewed", agreement, {"until": later}),
            ("agreement.suspended", agreement, {}), ("agreement.resumed", agreement, {}), ("agreement.suspended", agreement, {"party": party}), ("agreement.resumed", agreement, {"party": party}),
            ("agreement.withdrawn", agreement, {"party": party, **({"effective": later} if seldom else {})}),
            ("agreement.terminated", agreement, {"reason": "expired"}) if seldom else ("agreement.withdrawn", agreement, {"party": party}),
            ("agreement.announced", agreement, {"title": f"A{number}", "kind": "memorandum", "parties": both}), ("agreement.withdrawal-revoked", agreement, {"party": party}),
            ("agreement.reinstated", agreement, {}) if seldom else ("agreement.withdrawn", agreement, {"party": party, "effective": later}), ("agreement.reinstated", agreement, {"party": party}),
            ("agreement.declaration-made", agreement, {"party": party, "kind": "reservation", "text": f"t{number}"}),
            ("agreement.commitment-made", agreement, {"commitment": f"c{choice.randrange(4)}", "kind": "other", "title": f"C{number}", "by": [party], "due": later}),
            ("agreement.commitment-updated", agreement, {"commitment": f"c{choice.randrange(4)}", "status": choice.choice(["planned", "in-progress", "fulfilled", "cancelled"])}),
            ("lab.opened", self.lab, {}), ("lab.closed", self.lab, {}) if seldom else ("lab.opened", self.lab, {}),
            ("lab.phase-started", self.lab, {"phase": choice.choice("ab")}), ("lab.phase-completed", self.lab, {"phase": choice.choice("ab")}),
            ("lab.recruitment-opened", self.lab, {"call": f"k{choice.randrange(3)}", "role": "R"}), ("lab.recruitment-closed", self.lab, {"call": f"k{choice.randrange(3)}", "hired": number}),
            ("platform.member-joined", platform, {"party": party, "category": choice.choice("xy")}), ("platform.member-joined", platform, {"party": party}), ("platform.member-left", platform, {"party": party}),
            ("platform.member-changed", platform, {"party": party, "category": choice.choice("xyz")}),
            ("platform.supporter-added", platform, {"party": party, "support": "funding"}), ("platform.document-adopted", platform, {"title": f"d{number}", "kind": "rules"}),
            ("platform.dissolved", platform, {}) if seldom else ("platform.member-joined", platform, {"party": other}),
        ]  # fmt: skip
        type_, subject, data = choice.choice(kinds)
        return event(type_, subject, when, **data)

    def about(self, choice: random.Random, target: Event, position: int, number: int) -> Event:
        """Return a correction, retraction or dispute of an event, evidence for it, or a merger."""
        subject = target["subject"]
        passage = [{"document": self.document, "exact": f"{number}"}]
        roll = choice.random()
        if roll < 0.3:
            given = event("event.corrected", subject, event=position, reason="R")
            for _ in range(100):
                other = self.fact(choice, number)
                if other["type"] == target["type"]:
                    given["data"]["data"] = other["data"]
                    break
            if choice.random() < 0.6 or "data" not in given["data"]:
                given["data"]["occurred"] = some_date(choice)
            return given
        if roll < 0.6:
            return event("event.retracted", subject, event=position, reason="R")
        if roll < 0.75:
            return event(
                "event.disputed",
                subject,
                event=position,
                claims=[{"pointer": "/occurred", "value": some_date(choice) or "2007"}],
                evidence=passage,
            )
        if roll < 0.85:
            return event("evidence.added", subject, event=position, evidence=passage)
        return event("party.merged", choice.choice(self.parties), into=choice.choice(self.parties))
