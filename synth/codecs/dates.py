"""Dates that a table holds as text: which strptime format they follow, and text to integers and back."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
NAMED = ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y")
CLOCKS = ("%H:%M:%S", "%H:%M")
COMPACT = "%Y%m%d"
FORMATS = (
    *DAYS,
    *NAMED,
    *(f"{day} {clock}" for day in DAYS for clock in CLOCKS),
    *(f"%Y-%m-%dT{clock}" for clock in CLOCKS),
    *CLOCKS,
    COMPACT,
)
LIKELY = (1900, 2100)  # years between which eight digits are taken for a date
FRACTIONS = {3: "ms", 6: "us"}  # digits of a second's fraction that Arrow writes
CLOCK = re.compile(r":[0-9]{2}(\.(?P<fraction>[0-9]+))?(?P<zone>Z| UTC|[+-][0-9]{2}:?[0-9]{2})?$")
FIRST = 100  # values that sort most formats out


@dataclass(frozen=True)
class TextDates:
    """One way of writing dates.

    format: strptime's; a constant zone such as ``Z`` or ``+02:00`` stands in it as itself
    unit: "s", or the unit of the fraction that follows the seconds
    padded: whether day, month and hour have a leading zero
    """

    format: str
    unit: str = "s"
    padded: bool = True

    def read(self, values: pa.Array) -> pa.Array:
        """int64 units since 1970; null where a text is null or does not follow the format."""
        text = values.cast(pa.string())
        if self.unit == "s":
            return _seconds(text, self.format)
        head, tail = self.format.split(".%f")
        digits = next(width for width, unit in FRACTIONS.items() if unit == self.unit)
        parts = pc.extract_regex(text, rf"^(?P<head>.*)\.(?P<fraction>[0-9]{{{digits}}})(?P<tail>[^.]*)$")
        whole = pc.binary_join_element_wise(pc.struct_field(parts, "head"), pc.struct_field(parts, "tail"), "")
        seconds = _seconds(whole, head + tail)
        return pc.add(pc.multiply(seconds, 10**digits), pc.struct_field(parts, "fraction").cast(pa.int64()))

    def write(self, ticks: pa.Array) -> pa.Array:
        """What `read` read, as text."""
        moments = ticks.cast(pa.timestamp(self.unit))
        text = pc.strftime(moments, format=self.format.replace(".%f", ""))  # Arrow writes the fraction with %S
        return text if self.padded else pc.replace_substring_regex(text, r"(^|[-/. ])0([0-9])", r"\1\2")

    def follows(self, values: pa.Array) -> bool:
        """Whether every text is written so, character for character."""
        ticks = self.read(values)
        return not ticks.null_count and bool(pc.all(pc.equal(self.write(ticks), values.cast(pa.string()))).as_py())


def find(values: pa.Array) -> TextDates | None:
    """The one way in which all of the non-null texts are written; None where there is none."""
    few = values.slice(0, FIRST).cast(pa.string())
    if not pc.all(pc.match_substring_regex(few, r"^[0-9]{8}$|[0-9].*[-/.: ].*[0-9]")).as_py():
        return None
    first = few[0].as_py()
    for candidate in _candidates(first):
        if candidate.follows(few) and candidate.follows(values) and _likely(candidate, values):
            return candidate
    return None


def of(values: pa.Array, format: str) -> TextDates:  # noqa: A002 - strptime's own word
    """The variant of a known format that the texts follow; the padded one where they follow none."""
    few = values.slice(0, FIRST)
    units = FRACTIONS.values() if ".%f" in format else ("s",)
    variants = [TextDates(format, unit, padded) for unit in units for padded in (True, False)]
    return next((variant for variant in variants if len(few) and variant.follows(few)), variants[0])


def _candidates(first: str) -> list[TextDates]:
    clock = CLOCK.search(first)
    tail = clock["zone"] or "" if clock else ""
    if clock and clock["fraction"]:
        unit = FRACTIONS.get(len(clock["fraction"]))
        timed = [form for form in FORMATS if form.endswith("%S")]
        return [TextDates(f"{form}.%f{tail}", unit) for form in timed] if unit else []
    if tail:
        return [TextDates(form + tail) for form in FORMATS if form.endswith(CLOCKS)]
    return [TextDates(form, "s", padded) for form in FORMATS for padded in (True, False)]


def _likely(dates: TextDates, values: pa.Array) -> bool:
    if dates.format != COMPACT:
        return True
    bounds = pc.min_max(pc.utf8_slice_codeunits(values.cast(pa.string()), 0, 4)).as_py()
    return LIKELY[0] <= int(bounds["min"]) and int(bounds["max"]) <= LIKELY[1]


def _seconds(text: pa.Array, format: str) -> pa.Array:  # noqa: A002
    return pc.strptime(text, format=format, unit="s", error_is_null=True).cast(pa.int64())
