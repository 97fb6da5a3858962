"""Four agreements of the world and a joint venture, imported from files: what held on each day, as known before an event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.audits import assert_passes, wait_for_checkpoint
from tests.contract.server import NDJSON, Server, event, served
from tests.contract.test_replay import VIEWS, digests, replayed

FILES = Path(__file__).parent / "stories"
NAMES = ("world", "jcpoa", "cptpp", "artemis", "bbnj", "venture")

SANCTIONS = ("1696", "1737", "1747", "1803", "1835", "1929")
EUROPEANS = "european-union france germany united-kingdom"
FIRST_SIX = "australia canada japan mexico new-zealand singapore"
FIRST_EIGHT = "australia canada italy japan luxembourg united-arab-emirates united-kingdom united-states"
BY_2023 = f"{FIRST_EIGHT} brazil france mexico new-zealand republic-of-korea singapore spain ukraine"
OPENING = "chile china european-union france germany monaco palau spain united-kingdom united-states"
RATIFIED = "chile china european-union france monaco morocco palau sierra-leone spain"
NEVER_RATIFIED = "brazil germany united-kingdom united-states"
VENTURERS = "boreal-metals delta-chemicals"


class Stories:
    """A server with the stories, and the positions of their events as `story/id`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.positions: dict[str, int] = {}
        for name in NAMES:
            answer = server.send((FILES / f"{name}.ndjson").read_bytes(), NDJSON)
            for receipt in map(json.loads, answer.text.splitlines()):
                self.positions[f"{name}/{receipt['id']}"] = receipt["position"]
        signature = self.positions["artemis/india"]
        data = {"event": signature, "reason": "It was announced two days later.", "occurred": "2023-06-21"}
        correction = event("event.corrected", "agreements/artemis-accords", None, **data)
        self.positions["artemis/india-corrected"] = server.took(correction)

    def before(self, name: str | None) -> dict[str, int]:
        """Return the parameter for what was known just before an event."""
        return {} if name is None else {"as_of": self.positions[name] - 1}

    def members(self, agreement: str, on: str, before: str | None) -> dict[str, list[str]]:
        """Return the parties of an agreement on a day by status, which ends in `?` where it is only possible."""
        query = {"in": f"agreements/{agreement}", "on": on, "status": "any", **self.before(before)}
        found: dict[str, list[str]] = {}
        for item in self.server.items("/v1/memberships", **query):
            mark = "" if item["certainty"] == "certain" else "?"
            found.setdefault(item["status"] + mark, []).append(item["party"]["subject"].removeprefix("parties/"))
        return found


@pytest.fixture(scope="module")
def stories() -> Iterator[Stories]:
    """Serve the stories."""
    with served() as server:
        yield Stories(server)


@pytest.mark.parametrize(
    ("agreement", "on", "before", "expected"),
    [
        *((f"resolution-{number}", "2016-01-15", None, "in-force") for number in SANCTIONS),
        *((f"resolution-{number}", "2016-01-16", None, "terminated") for number in SANCTIONS),
        *((f"resolution-{number}", "2025-09-27", None, "terminated") for number in SANCTIONS),
        *((f"resolution-{number}", "2025-09-28", None, "in-force") for number in SANCTIONS),
        *((f"resolution-{number}", "2025-09-28", "jcpoa/snapback-1696", "terminated") for number in SANCTIONS),
        ("resolution-2231", "2025-10-18", None, "in-force"),
        ("resolution-2231", "2025-10-19", None, "terminated?"),
        ("jcpoa", "2015-04-02", None, "announced"),
        ("jcpoa", "2015-07-14", None, "adopted"),
        ("jcpoa", "2015-10-18", None, "in-force"),
        ("jcpoa", "2025-10-17", None, "in-force"),
        ("jcpoa", "2025-10-18", None, "terminated"),
        ("jcpoa", "2025-10-18", "jcpoa/termination-day", "in-force"),
        ("cptpp", "2018-12-29", None, "signed"),
        ("cptpp", "2018-12-30", None, "in-force"),
        ("cptpp-united-kingdom", "2024-12-14", None, "signed"),
        ("cptpp-united-kingdom", "2024-12-15", None, "in-force"),
        ("artemis-accords", "2020-10-13", None, "signed"),
        ("artemis-accords", "2026-01-01", None, "signed"),
        ("bbnj", "2023-09-19", None, "adopted"),
        ("bbnj", "2023-09-20", None, "signed"),
        ("bbnj", "2026-01-16", None, "signed"),
        ("bbnj", "2026-01-17", None, "in-force"),
        ("bbnj", "2026-01-17", "bbnj/sixtieth", "signed"),
        ("cathode-memorandum", "2022-10-04", None, "signed"),
        ("cathode-memorandum", "2022-10-05", None, "terminated"),
        ("cathode-venture", "2022-06-14", None, "announced"),
        ("cathode-venture", "2022-10-05", None, "signed"),
        ("cathode-venture", "2023-02-01", None, "in-force"),
        ("cathode-venture", "2026-03-30", None, "in-force"),
        ("cathode-venture", "2026-03-31", None, "terminated"),
        ("cathode-venture", "2026-03-31", "venture/notice", "in-force"),
    ],
)
def test_status_on_a_day_as_known_before_an_event(stories, agreement, on, before, expected):
    state = stories.server.state(f"agreements/{agreement}", on=on, **stories.before(before))
    assert state["status"] + ("" if state["certainty"] == "certain" else "?") == expected


@pytest.mark.parametrize(
    ("agreement", "on", "before", "expected"),
    [
        ("resolution-1929", "2026-01-01", None, {}),
        ("jcpoa", "2015-07-13", None, {}),
        ("jcpoa", "2015-07-14", None, {"bound": f"{EUROPEANS} china iran russia united-states"}),
        ("jcpoa", "2018-05-07", None, {"in-force": f"{EUROPEANS} china iran russia united-states"}),
        ("jcpoa", "2018-05-08", None, {"in-force": f"{EUROPEANS} china iran russia", "withdrawn": "united-states"}),
        ("jcpoa", "2025-10-18", None, {"ended": f"{EUROPEANS} china iran russia", "withdrawn": "united-states"}),
        ("cptpp", "2018-06-27", None, {"signed": f"{FIRST_SIX} brunei chile malaysia peru viet-nam"}),
        (
            "cptpp",
            "2018-12-30",
            None,
            {"in-force": FIRST_SIX, "bound": "viet-nam", "signed": "brunei chile malaysia peru"},
        ),
        ("cptpp", "2019-01-14", None, {"in-force": f"{FIRST_SIX} viet-nam", "signed": "brunei chile malaysia peru"}),
        (
            "cptpp",
            "2022-12-31",
            None,
            {"in-force": f"{FIRST_SIX} malaysia peru viet-nam", "bound": "chile", "signed": "brunei"},
        ),
        ("cptpp", "2024-12-14", None, {"in-force": f"{FIRST_SIX} brunei chile malaysia peru viet-nam"}),
        ("cptpp", "2024-12-15", None, {"in-force": f"{FIRST_SIX} brunei chile malaysia peru united-kingdom viet-nam"}),
        (
            "cptpp",
            "2024-12-15",
            "cptpp/in-force-united-kingdom",
            {"in-force": f"{FIRST_SIX} brunei chile malaysia peru viet-nam", "bound": "united-kingdom"},
        ),
        ("artemis-accords", "2020-10-13", None, {"signed": FIRST_EIGHT}),
        ("artemis-accords", "2023-06-20", None, {"signed": BY_2023}),
        ("artemis-accords", "2023-06-21", None, {"signed": f"{BY_2023} india"}),
        ("artemis-accords", "2023-06-21", "artemis/india-corrected", {"signed": BY_2023}),
        ("artemis-accords", "2023-06-23", "artemis/india-corrected", {"signed": f"{BY_2023} india"}),
        ("artemis-accords", "2026-01-01", None, {"signed": f"{BY_2023} argentina chile germany india peru"}),
        ("bbnj", "2023-06-19", None, {}),
        ("bbnj", "2023-09-20", None, {"signed": OPENING, "signed?": "morocco sierra-leone"}),
        (
            "bbnj",
            "2024-03-01",
            None,
            {
                "bound": "chile palau",
                "bound?": "monaco",
                "signed": "brazil china european-union france germany spain united-kingdom united-states",
                "signed?": "morocco sierra-leone",
            },
        ),
        ("bbnj", "2026-01-16", None, {"bound": RATIFIED, "signed": NEVER_RATIFIED}),
        ("bbnj", "2026-01-17", None, {"in-force": RATIFIED, "signed": NEVER_RATIFIED}),
        (
            "bbnj",
            "2026-01-17",
            "bbnj/ratified-china",
            {"in-force": RATIFIED.replace("china ", ""), "signed": f"{NEVER_RATIFIED} china"},
        ),
        ("bbnj", "2026-01-27", None, {"in-force": RATIFIED, "bound": "trinidad-and-tobago", "signed": NEVER_RATIFIED}),
        ("bbnj", "2026-02-26", None, {"in-force": f"{RATIFIED} trinidad-and-tobago", "signed": NEVER_RATIFIED}),
        ("cathode-venture", "2022-06-14", None, {}),
        ("cathode-venture", "2022-10-05", None, {"signed": VENTURERS}),
        ("cathode-venture", "2026-03-30", None, {"in-force": VENTURERS}),
        ("cathode-venture", "2026-03-31", None, {"ended": VENTURERS}),
        ("cathode-memorandum", "2022-10-05", None, {"ended": VENTURERS}),
    ],
)
def test_parties_on_a_day_as_known_before_an_event(stories, agreement, on, before, expected):
    found = stories.members(agreement, on, before)
    assert {status: sorted(parties) for status, parties in found.items()} == {
        status: sorted(parties.split()) for status, parties in expected.items()
    }


def test_united_kingdom_is_in_force_with_some_parties_first(stories):
    query = {"in": "agreements/cptpp", "party": "parties/united-kingdom", "on": "2026-01-01"}
    (membership,) = stories.server.items("/v1/memberships", **query)
    others = [[each["name"] for each in step.get("with", [])] for step in membership["steps"]]
    assert [step["occurred"] for step in membership["steps"]] == ["2024-12-15", "2024-12-15", "2024-12-24"]
    assert others == [
        [],
        ["Brunei Darussalam", "Chile", "Japan", "Malaysia", "New Zealand", "Peru", "Singapore", "Viet Nam"],
        ["Australia"],
    ]


def test_reinstated_sanctions_do_not_show_their_earlier_end(stories):
    ended, reinstated = (
        stories.server.state("agreements/resolution-1929", on=on) for on in ("2025-09-27", "2025-09-28")
    )
    assert (ended["reason"], ended["superseded_by"]["subject"]) == ("superseded", "agreements/resolution-2231")
    assert (ended["terminated"], reinstated["reinstated"]) == ("2016-01-16", "2025-09-28")
    assert not {"reason", "superseded_by", "terminated"} & set(reinstated)
    assert [each["party"]["name"] for each in reinstated["declarations"]] == ["Russian Federation"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (
            "agreements/resolution-1929",
            [
                ("2010-06-09", "adopted"),
                ("2010-06-09", "entered-into-force"),
                ("2016-01-16", "terminated"),
                ("2025-09-28", "declaration-made"),
                ("2025-09-28", "reinstated"),
            ],
        ),
        (
            "agreements/cathode-venture",
            [
                ("2022-06-14", "commitment-made"),
                ("2022-06-14", "announced"),
                ("2022-10-05", "signed"),
                ("2023-02-01", "entered-into-force"),
                ("2023-02-01", "commitment-updated"),
                ("2025-09-30", "terminated"),
            ],
        ),
    ],
)
def test_timeline(stories, subject, expected):
    items = stories.server.items("/v1/timeline", subject=subject)
    assert [(item["occurred"], item["type"].removeprefix("agreement.")) for item in items] == expected


@pytest.mark.parametrize(
    ("on", "before", "expected"),
    [
        ("2023-02-01", None, {"Boreal Metals": "51", "Delta Chemicals": "49"}),
        ("2026-03-30", None, {"Boreal Metals": "51", "Delta Chemicals": "49"}),
        ("2026-03-31", None, {"Boreal Metals": "100"}),
        ("2026-03-31", "venture/owner-delta-left", {"Boreal Metals": "51", "Delta Chemicals": "49"}),
    ],
)
def test_owners_of_the_joint_venture(stories, on, before, expected):
    items = stories.server.items("/v1/parties/northern-cathode/owners", on=on, **stories.before(before))
    assert {item["party"]["name"]: item["share"] for item in items} == expected


@pytest.mark.parametrize(
    ("agreement", "on", "before", "expected"),
    [
        ("cathode-venture", "2022-06-14", None, ("51", "per cent", "planned")),
        ("cathode-venture", "2023-02-01", None, ("51", "per cent", "fulfilled")),
        ("jcpoa", "2015-07-14", None, ("3.67", "per cent of U-235", "planned")),
        ("jcpoa", "2019-07-06", None, ("3.67", "per cent of U-235", "in-progress")),
        ("jcpoa", "2019-07-07", None, ("3.67", "per cent of U-235", "breached")),
        ("jcpoa", "2019-07-07", "jcpoa/enrichment-breached", ("3.67", "per cent of U-235", "in-progress")),
    ],
)
def test_commitment_on_a_day(stories, agreement, on, before, expected):
    (made,) = stories.server.state(f"agreements/{agreement}", on=on, **stories.before(before))["commitments"]
    assert (made["amount"]["value"], made["amount"]["unit"], made["status"]) == expected


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_replay_equals_the_stored_view(stories, view):
    _, closing = replayed(stories.server, view)
    assert closing["digest"] == digests(stories.server, view=view)[view]


def test_audit_passes(stories):
    wait_for_checkpoint(stories.server)
    assert_passes(stories.server.address)
