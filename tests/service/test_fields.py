"""Header fields are parsed in time linear in their length, and as RFC 9110 says."""

from __future__ import annotations

from time import thread_time

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from service.commands.cloudevents import MAX_ATTRIBUTES, Malformed, from_headers
from service.http.fields import EntityTag, charset, entity_tags, media_type
from service.http.negotiation import accepts_gzip, choose

PIECES = [
    '"', '\\"', '";', ";", ",", "/", " ", "\t", "=", "a", "a/b,", "a/b;q=0.5,", "a/b;x=", 'a/b;x="', "*/*,", ";x*1*='", "%41", '"x",', 'W/"', "q=0;",
]  # fmt: skip
STARTS = ["", '"', "a/b", "a/b; x=", 'a/b; x="', '"x"', "W/"]


def typed(value):
    return make_mocked_request("POST", "/", headers={"Content-Type": value})


def tags(value):
    try:
        return entity_tags(value)
    except ValueError:
        return None


READERS = {
    "Accept": lambda value: choose.__wrapped__(value, ("application/json", "text/csv", "application/x-ndjson")),
    "Accept-Encoding": accepts_gzip,
    "If-None-Match": tags,
    "Content-Type": lambda value: (media_type(typed(value)), charset(typed(value))),
}


def seconds(read, value, times=1):
    """Return the shortest processor time of several runs, which other work disturbs least."""

    def once():
        began = thread_time()
        read(value)
        return thread_time() - began

    return min(once() for _ in range(times))


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_field_takes_quadratic_time(read):
    for start in STARTS:
        for piece in PIECES:
            times = 1_000 // len(piece) // 2 * 2  # even, so that quotes are closed in both or in neither
            short, long = (start + piece * many + "x" for many in (times, 16 * times))
            if seconds(read, long) > 0.01:  # linear: 16 times as long; quadratic: 256 times
                assert seconds(read, long, 3) < 100 * seconds(read, short, 3), (start, piece)


@pytest.mark.parametrize(
    ("value", "type_", "set_"),
    [
        ("", "", None),
        ("application/json", "application/json", None),
        (" Text/Plain ; Charset=UTF-8", "text/plain", "utf-8"),
        ('text/plain; x=";charset=latin-1"; charset="utf-8"', "text/plain", "utf-8"),
        ("text/plain; charset", "text/plain", None),
        ("text/plain;;;charset=utf-16;", "text/plain", "utf-16"),
        ("nonsense", "nonsense", None),
    ],
)
def test_a_content_type_is_its_media_type_and_character_set(value, type_, set_):
    assert (media_type(typed(value)), charset(typed(value))) == (type_, set_)


OPAQUE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters='" \x7f'))
TAG = st.builds(EntityTag, OPAQUE, st.booleans())
BLANKS = st.sampled_from(["", " ", "\t", "  "])


@given(st.lists(st.tuples(BLANKS, st.none() | TAG, BLANKS)))
def test_list_of_etags_is_parsed_without_empty_members(members):
    written = [
        before + ("" if tag is None else f'{"W/" if tag.is_weak else ""}"{tag.opaque}"') + after
        for before, tag, after in members
    ]
    assert entity_tags(",".join(written)) == [tag for _, tag, _ in members if tag is not None]


@pytest.mark.parametrize("value", ["x", '"x', 'x"', '"a" "b"', '*, "x"', 'w/"x"', 'W /"x"', '"a""b"', '"a b"', "W/"])
def test_invalid_list_of_etags_is_refused(value):
    with pytest.raises(ValueError, match="not a list"):
        entity_tags(value)


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [("", False), ("gzip", True), ("br, GZIP;q=0.1", True), ("gzip;q=0", False), ("*", True), ("*, gzip;q=0", False)],
)
def test_gzip_is_used_if_accepted(value, is_taken):
    assert accepts_gzip(value) is is_taken


def test_the_attributes_of_an_event_in_headers_are_bounded_together():
    with pytest.raises(Malformed, match="together"):
        from_headers([(f"ce-a{number}", "x" * 8000) for number in range(4)], "application/json", b"")
    assert from_headers([("ce-id", "x" * MAX_ATTRIBUTES)], "application/json", b"")["id"]
