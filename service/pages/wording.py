"""Wording: the texts of the interface in one language, and names, dates and codes as words of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from markupsafe import Markup, escape

from domain.edtf import parse_edtf

LANGUAGES = {"en": "English", "zh": "中文"}
"""The languages of the interface, each under its own name. English is the language of the source."""
CATALOGUES = Path(__file__).parent / "locale"
_QUALIFIERS = "?~%"
_DURATION = re.compile(r"(\d+)([YMWD])")


@cache
def translations(language: str) -> NullTranslations:
    """Return the interface texts of a language, read from its catalogue."""
    path = CATALOGUES / language / "LC_MESSAGES" / "pages.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


class Wording:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self._texts = translations(language)

    def text(self, message: str, **values: object) -> Markup:
        """Return an interface text with values for `{name}` in it, escaped unless they are markup."""
        return Markup(self._texts.gettext(message)).format(**values)  # noqa: S704 - the catalogue is ours

    def number_of(self, singular: str, plural: str, number: int, **values: object) -> Markup:
        """Return the interface text for a number, which is its value `n` unless `n` is given, as with markup."""
        found = self._texts.ngettext(singular, plural, number)
        return Markup(found).format(**{"n": self.number(number), **values})  # noqa: S704 - the catalogue is ours

    def number(self, number: int) -> str:
        """Return a whole number with separators between thousands."""
        return f"{number:,}"

    def code(self, code: str) -> Markup:
        """Return a word of a closed choice, such as `in-force` or `party.registered`, as words of the language."""
        return Markup(": ").join(self.text(part.replace("-", " ")) for part in code.split("."))

    def name(self, text: str | Mapping[str, str] | None) -> Markup:
        """Return a text for people in the reader's language, or else in English, or else in its first language."""
        if isinstance(text, Mapping):
            tag = self._tag_of(text)
            return self._in_language(text[tag], tag)
        return escape(text or "")

    def names(self, text: str | Mapping[str, str] | None) -> Markup:
        """Return a text in the reader's language, followed by its wordings in other scripts."""
        shown = self.name(text)
        if not isinstance(text, Mapping) or len(text) < 2:
            return shown
        first = self._tag_of(text)
        others = [self._in_language(value, tag) for tag, value in text.items() if tag != first]
        return Markup('{} <span class="other-names">{}</span>').format(shown, Markup(" · ").join(others))

    def plain(self, text: str | Mapping[str, str] | None) -> str:
        """Return a text for people without markup, for titles and labels."""
        return text[self._tag_of(text)] if isinstance(text, Mapping) else text or ""

    def _tag_of(self, text: Mapping[str, str]) -> str:
        """Return which language of a text is shown."""
        for wanted in (self.language, "en"):
            for tag in text:
                if tag.partition("-")[0].lower() == wanted:
                    return tag
        return next(iter(text))

    def _in_language(self, text: str, tag: str) -> Markup:
        if tag.partition("-")[0].lower() == self.language:
            return escape(text)
        return Markup('<span lang="{}">{}</span>').format(tag, text)

    def list(self, parts: Iterable[object]) -> Markup:
        """Return parts as an enumeration: "a, b and c"."""
        escaped = [escape(part) for part in parts]
        if len(escaped) < 2:
            return Markup("").join(escaped)
        return self.text("{most} and {last}", most=self.text(", ").join(escaped[:-1]), last=escaped[-1])

    def day(self, day: str) -> str:
        """Return a day, `YYYY-MM-DD`, in words."""
        return format_date(date.fromisoformat(day), "long" if self.language == "zh" else "d MMMM y", locale=self.locale)

    def instant(self, recorded: str) -> str:
        """Return an instant, as `recorded` is written, in words, to the minute."""
        form = "y年M月d日 HH:mm 'UTC'" if self.language == "zh" else "d MMMM y, HH:mm 'UTC'"
        return format_datetime(datetime.fromisoformat(recorded), form, locale=self.locale)

    def date(self, occurred: str | None) -> Markup:
        """Return an EDTF date in words; an absent one is a day that is not known."""
        if occurred is None:
            return self.text("on a day that is not known")
        start, slash, end = occurred.partition("/")
        if slash:
            if start == "..":
                return self.text("by {day}", day=self._stated(end))
            if end == "..":
                return self.text("on some day from {day} on", day=self._stated(start))
            return self.text("between {first} and {last}", first=self._stated(start), last=self._stated(end))
        stated = self._stated(start)
        if occurred.startswith("XXXX"):
            return self.text("on {day}, in a year that is not stated", day=stated)
        return (
            self.text("on {day}", day=stated) if occurred.count("-") == 2 else self.text("in {period}", period=stated)
        )

    def period(self, occurred: str | None) -> Markup:
        """Return an EDTF date in words, to stand by itself."""
        if occurred is None:
            return self.text("date not known")
        if "/" in occurred:
            return self.date(occurred)
        if occurred.startswith("XXXX"):
            return self.text("{day}, year not stated", day=self._stated(occurred))
        return self._stated(occurred)

    def _stated(self, text: str) -> Markup:
        """Return one date, year, month and day as far as stated, with what its qualifiers mean."""
        bare = text.translate({ord(mark): None for mark in _QUALIFIERS})
        year, *rest = bare.split("-")
        first = date(2000 if year == "XXXX" else int(year), *map(int, rest or ["1"]), *([1] if len(rest) < 2 else []))
        chinese = self.language == "zh"
        form = {
            (True, 2): "M月d日" if chinese else "d MMMM",
            (False, 2): "y年M月d日" if chinese else "d MMMM y",
            (False, 1): "y年M月" if chinese else "MMMM y",
            (False, 0): "y年" if chinese else "y",
        }[year == "XXXX", len(rest)]
        words = Markup.escape(format_date(first, form, locale=self.locale))
        if "%" in text or ("?" in text and "~" in text):
            return self.text("about {day} (uncertain)", day=words)
        if "?" in text:
            return self.text("{day} (uncertain)", day=words)
        if "~" in text:
            return self.text("about {day}", day=words)
        return words

    def bounds(self, occurred: str | None) -> Markup:
        """Return the earliest and latest day that an EDTF date allows, in words."""
        span = parse_edtf(occurred) if occurred else None
        if span is None or (span.earliest is None and span.latest is None):
            return self.text("no bound is known")
        if span.earliest is None:
            return self.text("no later than {day}", day=self.day(span.latest or ""))
        if span.latest is None:
            return self.text("no earlier than {day}", day=self.day(span.earliest))
        if span.earliest == span.latest:
            return self.text("on {day}", day=self.day(span.earliest))
        return self.text("from {first} to {last}", first=self.day(span.earliest), last=self.day(span.latest))

    def duration(self, duration: str) -> Markup:
        """Return an ISO 8601 duration in words."""
        numbers = {unit: int(number) for number, unit in _DURATION.findall(duration)}
        counted = (
            ("Y", "{n} year", "{n} years"),
            ("M", "{n} month", "{n} months"),
            ("W", "{n} week", "{n} weeks"),
            ("D", "{n} day", "{n} days"),
        )
        return self.list(self.number_of(one, many, numbers[unit]) for unit, one, many in counted if numbers.get(unit))

    def amount(self, amount: Mapping[str, Any]) -> Markup:
        """Return an amount with its currency or unit."""
        whole, point, fraction = str(amount["value"]).partition(".")
        digits = f"{int(whole):,}{point}{fraction}" if whole.lstrip("-").isdigit() else str(amount["value"])
        return Markup("{} {}").format(digits, self.name(amount.get("currency") or amount.get("unit")))
