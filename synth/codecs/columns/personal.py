"""personal: names, e-mails, phones and the like, never learnt; made-up people of the same locale stand in their place.

A row gets the number of a person from its own number: as many different people as the source has, each in about as many
rows as there. All columns of an entity make their values from that one number, so that they agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import fakes
from synth.codecs.columns import ColumnCodec, Floats, Tokens, flat
from synth.codecs.columns.identifier import presence
from synth.codecs.fakes import NameForm, People, Style, Vocabulary
from synth.codecs.text import value_type
from synth.deniable import Deniable, Numbers
from synth.layout import ColumnLayout
from synth.patterns import Maker, Template, learn, permute
from synth.schema import Column, Personal

MOSTLY = 0.5  # share of values that settle how a text is written
KNOTS = 64  # points of the curve that says how unevenly people come again
FEWER = 0.95  # a column with a smaller share of the entity's different values has them in common
PAIRS = 32  # whole names for each different person, at least
MOST_WORDS = 8192  # first or last names of an entity


@dataclass(frozen=True)
class Form:
    """How the source writes its values; holds none of them.

    case: "upper", "lower" or ""
    form: of a name, see `NameForm`; what stands before a URL's host, or between the lines of an address; or ""
    templates: of coded data, phones for example
    """

    case: str = ""
    form: str = ""
    templates: tuple[Template, ...] = ()


@dataclass(frozen=True, eq=False)
class Codec(ColumnCodec):
    """What stands in the schema of the column, how it is written, and how often values come again.

    counts: training rows with a value and with a null
    distinct: different values among them
    curve: (K + 1,) share of the rows that the least frequent 0, 1/K, ... of the different values have
    filter: what must not come out
    """

    what: Personal
    form: Form
    key: int
    unique: bool
    counts: tuple[int, int]
    distinct: int
    curve: tuple[float, ...]
    filter: Deniable
    dtype: pa.DataType
    entity: list[Entity] = field(default_factory=list)  # the one that it belongs to, see `bind`

    @classmethod
    def fit(cls, array: pa.Array, column: Column, rng: np.random.Generator) -> Self:
        """Learn how values are written and how often they come again; no value is kept."""
        texts = as_text(pc.drop_null(flat(array)))
        what = column.personal or Personal(what="other")
        repeats = np.sort(pc.struct_field(pc.value_counts(texts), "counts").to_numpy(zero_copy_only=False))
        whole = pa.types.is_integer(value_type(array.type))
        return cls(
            what,
            written(what.what, texts, whole),
            int(rng.integers(0, 2**31)),
            column.unique,
            (len(texts), array.null_count),
            len(repeats),
            tuple(_curve(repeats)),
            Deniable.fit(texts),
            array.type,
        )

    def layout(self, name: str) -> ColumnLayout | None:
        """Whether there is a value, where there may be none; else nothing."""
        return presence(name, self.counts)

    def encode(self, array: pa.Array) -> Tokens:
        """1 for a null, 0 for a value."""
        return np.asarray(pc.is_null(flat(array))).astype(np.int64)

    def decode(
        self, tokens: Tokens | None, rows: Tokens, rng: np.random.Generator, places: Floats | None = None
    ) -> pa.Array:
        """A made-up value for each row number."""
        null = np.zeros(len(rows), dtype=bool) if tokens is None else tokens == 1
        entity = self.entity[0] if self.entity else Entity((self,))
        made = entity.texts(self, rows) if len(rows) else []
        return pa.array(list(made), type=pa.string(), mask=null).cast(value_type(self.dtype))

    @property
    def style(self) -> Style:
        """How its texts are written."""
        return Style(self.form.case)

    def with_counts(self, counts: NDArray[np.int64]) -> Self:
        """Another share of nulls."""
        return replace(self, counts=(int(counts[0]), int(counts[1])))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "form": asdict(self.form),
            "key": self.key,
            "unique": self.unique,
            "counts": list(self.counts),
            "distinct": self.distinct,
            "curve": list(self.curve),
            "filter": self.filter.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], column: Column, dtype: pa.DataType) -> Self:
        """What `state` gave."""
        form = state["form"]
        banned = Deniable.from_state(state["filter"])
        assert banned is not None  # noqa: S101 - a personal column always has one
        return cls(
            column.personal or Personal(what="other"),
            Form(form["case"], form["form"], tuple(Template(**template) for template in form["templates"])),
            state["key"],
            state["unique"],
            (int(state["counts"][0]), int(state["counts"][1])),
            int(state["distinct"]),
            tuple(state["curve"]),
            banned,
            dtype,
        )


@dataclass(frozen=True, eq=False)
class Entity:
    """The columns that tell of the same people: at most one for each sort of data."""

    members: tuple[Codec, ...]

    @cached_property
    def lead(self) -> Codec:
        """The column with the most different values: it says who comes again, and when."""
        return max(self.members, key=lambda member: member.distinct)

    def numbers(self, rows: Numbers) -> Numbers:
        """The person (N,) of each row: in as many rows as the source has as many different ones, each as often."""
        lead = self.lead
        count = max(1, lead.counts[0])
        if lead.distinct >= count:
            return rows
        turn, place = np.divmod(rows, count)
        share = np.interp(
            (permute(place, count, lead.key) + 0.5) / count, lead.curve, np.linspace(0, 1, len(lead.curve))
        )
        return turn * lead.distinct + np.minimum((share * lead.distinct).astype(np.int64), lead.distinct - 1)

    def texts(self, column: Codec, rows: Numbers) -> Iterable[str]:
        """What stands in a column of the entity in each row (N,)."""
        numbers, what = self.numbers(rows), column.what.what
        if what in fakes.NAMED:
            return self._named(column, numbers).tolist()  # type: ignore[no-any-return]
        index = self._shared(column, numbers)
        if column.form.templates:
            return column_maker(column).texts(index)
        if what == "ip":
            return fakes.Addresses(column.key, column.form.form == ":", column.filter).texts(index).tolist()  # type: ignore[no-any-return]
        locale = column.what.locale or LOCALE
        if what == "address" or column.form.form:
            joint = column.form.form if what == "address" else None
            made = fakes.Places(locale, column.key, joint, column.filter, column.style).texts(index)
        else:
            made = column.style(Vocabulary(what, locale, column.key, column.filter, column.style).texts(index))
        return made.tolist()  # type: ignore[no-any-return]

    def _shared(self, column: Codec, numbers: Numbers) -> Numbers:
        """The value (N,) that each person has, where several people share one."""
        most = self.lead.distinct
        if column.distinct >= FEWER * most:
            return numbers
        turn, person = np.divmod(numbers, most)
        return turn * column.distinct + permute(person, most, column.key) * column.distinct // most

    def _named(self, column: Codec, numbers: Numbers) -> Any:
        people, what = self.people, column.what.what
        if what in ("email", "user_name", "url"):
            heads, first = people.locals(numbers, "-" if what == "url" else ".")
            tails = np.array([""])[np.zeros(len(numbers), dtype=np.int64)]
            if what != "user_name":
                host = fakes.domains(numbers, column.key, column.what.domain)
                tails = np.strings.add("@" if what == "email" else ".", host)
            if what == "url":
                heads = np.strings.add(column.form.form, heads)
            return fakes.ended(heads, tails, first, column.filter, column.style)
        first, last, _ = people.places(numbers)
        if what == "first_name":
            return column.style(people.firsts[first])
        if what == "last_name":
            return column.style(people.lasts[last])
        return NameForm(column.form.form, column.style)(people.firsts[first], people.lasts[last])

    @cached_property
    def people(self) -> People:
        """Who the entity's people can be."""
        named = self._member("name")
        form = None if named is None else (named.filter, NameForm(named.form.form, named.style))
        return People(self._words("first_name"), self._words("last_name"), self.lead.key, form)

    def _words(self, what: str) -> Any:
        """Names that no column of theirs bans, as many different ones as it has."""
        member = self._member(what)
        locale = next((m.what.locale for m in self.members if m.what.locale), LOCALE)
        least = math.isqrt(PAIRS * self.lead.distinct) if len(self.members) > 1 or member is None else 1
        if member is None:
            known = Vocabulary(what, locale, self.lead.key)
            size = max(least, len(known))
        else:
            known = Vocabulary(what, locale, self.lead.key, member.filter, member.style)
            size = max(least, member.distinct)
        return known.texts(np.arange(min(size, MOST_WORDS)))

    def _member(self, what: str) -> Codec | None:
        return next((member for member in self.members if member.what.what == what), None)


LOCALE = "en_US"


def bind(columns: Iterable[ColumnCodec]) -> None:
    """Tell the personal ones among a table's columns with whom they are an entity."""
    entities: dict[Any, list[Codec]] = {}
    for place, column in enumerate(columns):
        if isinstance(column, Codec):
            name = column.what.entity
            clash = any(other.what.what == column.what.what for other in entities.get(name, ()))
            entities.setdefault(place if name is None or clash else name, []).append(column)
    for members in entities.values():
        entity = Entity(tuple(members))
        for member in members:
            member.entity[:] = [entity]


def column_maker(column: Codec) -> Maker:
    """The maker of coded data in the source's format."""
    return Maker(column.form.templates, column.key, column.unique, column.filter)


def as_text(values: pa.Array) -> pa.Array:
    """Texts as they are, integers in digits."""
    return values.cast(pa.large_string())


def written(what: str, texts: pa.Array, whole: bool) -> Form:
    """How non-null texts are written; `whole` where they stand for integers."""
    if what in fakes.CODED:
        templates = learn(texts.cast(pa.string()))
        if whole:  # a leading 0 would be lost
            templates = tuple(Template("#" + t.text[1:], t.share) if t.text[:1] == "9" else t for t in templates)
        return Form(templates=templates)
    return Form(_case(texts), _form(what, texts))


def _case(texts: pa.Array) -> str:
    upper, lower = (_share(pc.equal(texts, change(texts))) for change in (pc.utf8_upper, pc.utf8_lower))
    if upper > MOSTLY and lower < MOSTLY:
        return "upper"
    return "lower" if lower > MOSTLY and upper < MOSTLY else ""


def _form(what: str, texts: pa.Array) -> str:
    def has(pattern: str) -> bool:
        return _share(pc.match_substring_regex(texts, pattern)) > MOSTLY

    if what == "name":
        return "last, first" if has(r"^[^,]+, ") else "first last" if has(r"\S\s+\S") else "lastfirst"
    if what == "url":
        return next((start for start in ("https://", "http://") if has(f"^{start}")), "")
    if what == "address":
        return "\n" if has("\n") else ", "
    if what == "street":
        return "9" if has("[0-9]") else ""
    return ":" if what == "ip" and has(":") else ""


def _share(mask: pa.Array) -> float:
    return float(pc.mean(mask.cast(pa.float64())).as_py() or 0)


def _curve(repeats: Any) -> Any:
    """The Lorenz curve of ascending counts at even shares of the values."""
    total = np.concatenate([[0], np.cumsum(repeats)]) / max(1, repeats.sum())
    size = min(KNOTS, len(repeats)) or 1
    return np.interp(np.linspace(0, len(repeats), size + 1), np.arange(len(total)), total).tolist()
