"""Parameters of the API for the filters of each list, made from what the views declare."""

from __future__ import annotations

from collections.abc import Mapping

from projections.catalogue import LIST_VIEWS
from projections.engine.filters import CERTAINTY, Choice, Day, Filter, SubjectOf, Words
from service.http.operations import Parameter
from service.schemas.json_schema import Schema, subject


def _parameter(declared: Filter) -> Parameter:
    """Return the parameter of a filter."""
    value, description = declared.value, declared.description
    schema: Schema = {"type": "string"}
    match value:
        case Choice(values, wildcard):
            schema["enum"] = [*values, *([] if wildcard is None else [wildcard])]
        case SubjectOf(collections):
            schema = subject(*collections)
        case Day():
            schema["format"] = "date"
            description += ", `YYYY-MM-DD`."
        case Words(max_length):
            schema["maxLength"] = max_length
        case _:
            if value.examples:
                schema["examples"] = list(value.examples)
    return Parameter(
        declared.name,
        description,
        schema,
        repeatable=declared.is_repeatable,
        several=isinstance(value, Choice),
    )


FILTER_PARAMETERS: Mapping[str, tuple[Parameter, ...]] = {
    name: tuple(_parameter(declared) for declared in view.filters) for name, view in LIST_VIEWS.items()
}
OF_CERTAINTY = _parameter(CERTAINTY)
