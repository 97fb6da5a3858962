"""List items that one event opens and others change: commitments, declarations, calls.

An item is opened once, and before any other event changes it. Within its subject it is found by its tag,
`<list>:<slug or position>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import MOST_NAMED, Conflict, Flaw

if TYPE_CHECKING:  # the catalogue, on which these depend, is built from modules that use this one
    from domain.corrections import Fact
    from domain.history import History
    from domain.payload import Data


@dataclass(frozen=True, kw_only=True)
class OpenedItems:
    """One kind of item, with the types that open and change it.

    `field` is the field of the data that identifies the item. With `by_position` it is the position of the opening
    event, and the opening event has no such field. `missing` is the error for an item that was not opened.
    """

    name: str
    field: str
    opened_by: str
    changed_by: str
    missing: str
    by_position: bool = False

    def tag(self, fact: Fact) -> str:
        """Return the tag of the item that a fact opens or changes."""
        if self.by_position and fact.type == self.opened_by:
            return f"{self.name}:{fact.position}"
        return f"{self.name}:{getattr(fact.data, self.field)}"

    def flaws(self, history: History, subject: str, type_: str, data: Data) -> Iterator[Flaw]:
        """Yield the flaw of an event that changes an item which was not opened."""
        if type_ != self.changed_by:
            return
        identity = getattr(data, self.field)
        facts = history.item_facts(subject, f"{self.name}:{identity}")
        if not any(fact.type == self.opened_by for fact in facts):
            yield Flaw(f"/data/{self.field}", self.missing.format(identity))

    def conflicts(self, history: History, subject: str, changed: Sequence[Fact]) -> Iterator[Conflict]:
        """Yield conflicts for items of changed facts that are changed but not opened, or opened twice."""
        for tag in sorted({self.tag(fact) for fact in changed if fact.type in (self.opened_by, self.changed_by)}):
            facts = history.item_facts(subject, tag)
            openings = [fact.position for fact in facts if fact.type == self.opened_by]
            changes = [fact.position for fact in facts if fact.type != self.opened_by]
            name = tag.replace(":", " ")
            if changes and not openings:
                yield Conflict(f"facts depend on the opening of {name}", tuple(sorted(changes)[:MOST_NAMED]))
            if len(openings) > 1:
                yield Conflict(f"{name} exists already", tuple(sorted(openings)[:MOST_NAMED]))
