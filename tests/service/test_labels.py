"""Labels of the network: none covers another or a mark, and the most important subjects have one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.pages.labels import Box, Mark, place, shortened, width_of
from service.pages.network_picture import network
from service.pages.wording import Wording

FRAME = Box(0, 0, 600, 400)
NAMES = st.text(alphabet="iMa 宁é", max_size=40)
MARKS = st.lists(st.tuples(NAMES, st.floats(0, 600), st.floats(0, 400), st.floats(5, 14)), max_size=60)


@given(MARKS)
def test_no_label_covers_another_label_or_a_mark(rows):
    marks = [Mark(str(number), *row) for number, row in enumerate(rows)]
    boxes = [label.box for label in place(marks, FRAME).values()]
    for index, box in enumerate(boxes):
        assert 0 <= box.left <= box.right <= 600
        assert 0 <= box.top <= box.bottom <= 400
        assert not any(box.overlaps(other) for other in boxes[:index])
        around = (Box(each.x - each.size, each.y - each.size, each.x + each.size, each.y + each.size) for each in marks)
        assert not any(box.overlaps(other) for other in around)


@given(NAMES, st.floats(20, 200))
def test_shortened_text_fits_and_is_the_whole_text_where_that_fits(text, width):
    short = shortened(text, width)
    assert width_of(short) <= width + 1e-9
    assert short == text if width_of(text) <= width else short.endswith("…")


def test_first_mark_has_the_room_that_two_want():
    marks = [Mark(name, name * 12, 300, 200, 5) for name in "ab"]
    assert place(marks, Box(250, 195, 350, 225)).keys() == {"a"}


def test_center_of_a_network_is_labelled_and_the_same_graph_gives_the_same_picture():
    nodes = [{"subject": f"parties/{each}", "name": f"Name {each}", "collection": "parties"} for each in range(300)]
    edges = [{"source": f"parties/{each}", "target": f"parties/{each % 7}"} for each in range(7, 300)]
    picture = network({"nodes": nodes, "edges": edges}, "parties/299", Wording("en"))
    assert picture == network({"nodes": nodes, "edges": edges}, "parties/299", Wording("en"))
    assert all(each.label for each in picture.nodes if each.subject in ("parties/299", "parties/0"))


def test_network_of_one_subject_stands_in_the_middle():
    picture = network(
        {"nodes": [{"subject": "labs/x", "name": "X", "collection": "labs"}], "edges": []}, None, Wording("en")
    )
    label = picture.nodes[0].label
    assert label is not None
    assert (label.x, label.text) == (500, "X")
