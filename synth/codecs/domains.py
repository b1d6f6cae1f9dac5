"""Domains: what columns may hold, declared by their owner or learnt privately, and codecs that follow from them alone.

Under a promise of differential privacy no codec sees a row. It is fitted to made-up values instead, which run evenly
through the domain: bins come out equally wide, categories equally frequent. What a domain does not say is asked of the
rows through the ledger.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from synth.codecs import dates
from synth.codecs.columns import codec, flat
from synth.codecs.columns.datetime import from_ticks, integer_of, to_ticks
from synth.codecs.columns.number import from_line, to_line
from synth.codecs.dates import TextDates
from synth.codecs.fakes import words
from synth.codecs.grid import BINS, DISCRETE, KNOTS, Line
from synth.codecs.rules.quantities import NANOSECONDS
from synth.codecs.table import TableCodec
from synth.codecs.text import from_scalars, hashable, is_text, scalar_array, to_scalars, value_type
from synth.errors import ConfigError, InputError
from synth.privacy import DELTA_SHARE, Ledger, simplex
from synth.schema import Column, Domain, Kind, Schema
from synth.stored import AnyTable

POINTS = BINS * KNOTS  # of a made-up column of numbers
ALONE = 40  # times that a value apart stands among them, enough to be an atom
WIDEST = 2**61  # numbers beyond it need declared ends
EXPONENTS = 128  # of two, that the ends of undeclared floats are looked for among, half of them below 1
YEARS = range(1600, 2400)  # that the ends of undeclared moments are looked for among
DAY = "%Y-%m-%d"
EXAMPLES = 500  # made-up texts of a column that is not learnt
FAKES = {  # what -> Faker's method, of examples of how such data are written
    "name": "name",
    "email": "email",
    "user_name": "user_name",
    "url": "url",
    "address": "street_address",
    "ip": "ipv4",
    "phone": "phone_number",
    "iban": "iban",
    "credit_card": "credit_card_number",
    "national_id": "ssn",
}
LISTED = ("category", "boolean")  # kinds whose values are told one by one
CERTAIN = 3.0  # deviations of the noise above which a count is one, beyond the greatest of many noises
DOMAIN_SHARE = 0.1  # of the budget, for domains that are not declared
ROWS_SHARE = 0.02  # for the numbers of rows and of nulls
MOST_NOISE = 0.25  # of the number of rows, as a share of it
SINGLES_SHARE = 0.2  # for the frequencies that a training begins with


def check_domain(name: str, domain: Domain, array: pa.Array, text: str | None) -> None:
    """InputError, with the column's name and how many there are, where values are outside of the declared domain."""
    values = pc.drop_null(flat(array))
    missing = len(array) - len(values)
    if missing and not domain.nulls:
        raise InputError(
            f"column {name!r}: {missing:,} of {len(array):,} values are null; its domain says nulls: false"
        )
    try:
        inside = _inside(domain, values, text)
    except (pa.ArrowException, ArithmeticError, ValueError, TypeError):
        raise ConfigError(f"domains: {name!r}: its {values.type} values cannot be of the domain declared") from None
    outside = int(len(values) - inside.sum())
    if outside:
        raise InputError(f"column {name!r}: {outside:,} of {len(array):,} values are outside of its declared domain")


def _inside(domain: Domain, values: pa.Array, text: str | None) -> np.ndarray[Any, Any]:
    """(N,) whether each value is in the domain."""
    if domain.values is not None:
        known = from_scalars(domain.values, values.type)
        return np.asarray(pc.is_in(hashable(values), hashable(known)))
    if text is not None:
        form = _form(text)
        ticks, (low, high) = form.read(values), (form.read(pa.array([str(end)])) for end in (domain.min, domain.max))
        return np.asarray(pc.and_(pc.greater_equal(ticks, low[0]), pc.less_equal(ticks, high[0])))
    low, high = (scalar_array(end, values.type)[0] for end in (domain.min, domain.max))
    return np.asarray(pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high)))


def declared_kind(domain: Domain, dtype: pa.DataType) -> Kind:
    """The kind of a column whose domain is declared."""
    inner = value_type(dtype)
    if domain.values is not None:
        return "boolean" if pa.types.is_boolean(inner) else "category"
    return "datetime" if pa.types.is_temporal(inner) or is_text(inner) else "number"


def declared_facts(domain: Domain, dtype: pa.DataType, text: str | None) -> dict[str, Any]:
    """What a `Column` says where its domain is declared."""
    inner = value_type(dtype)
    if domain.values is not None:
        return {
            "categories": domain.values,
            "ordered": bool(pa.types.is_dictionary(dtype) and dtype.ordered),
            "least": 1,
        }
    facts: dict[str, Any] = {"minimum": domain.min, "maximum": domain.max, "format": text, **_scale(inner)}
    if pa.types.is_decimal(inner):
        facts |= {"minimum": str(domain.min), "maximum": str(domain.max)}
    elif pa.types.is_floating(inner):
        facts |= {"decimals": domain.decimals, "minimum": float(domain.min or 0), "maximum": float(domain.max or 0)}
    return facts


def private_schema(schema: Schema, table: AnyTable, ledger: Ledger) -> Schema:
    """The schema as it may be told: names, types, kinds and domains as declared, all else asked through the ledger.

    Raises ConfigError where rules are declared, which are read off rows.
    """
    if schema.rules:
        raise ConfigError("privacy: rules are read off rows that the budget does not count; leave them out")
    types = dict(zip(schema.names, schema.arrow_schema.types, strict=True))
    found = [_without_facts(column, value_type(types[column.name])) for column in schema.columns]
    open_ = [column.name for column in found if column.domain is None and not column.made_up and not column.categories]
    told = [column.name for column in found if column.name in open_ and column.kind in LISTED]
    rho = DOMAIN_SHARE * ledger.rho / max(len(open_), 1)
    delta = 0.0 if ledger.privacy is None else DELTA_SHARE * ledger.privacy.delta / max(len(told), 1)
    columns = [
        _learnt(column, types[column.name], table.column(column.name), ledger, rho, delta)
        if column.name in open_
        else column
        for column in found
    ]
    rows, shares = _counted(columns, table, ledger)
    columns = [column.model_copy(update={"null_rate": share}) for column, share in zip(columns, shares, strict=True)]
    return schema.model_copy(update={"columns": tuple(columns), "rows": rows, "rare_values": 0})


def check_noise(rows: int, ledger: Ledger) -> None:
    """ConfigError where the budget is too small for so many rows, as they may be told: noise would be all there is."""
    noise = ledger.deviation(ROWS_SHARE * ledger.rho)
    if ledger.privacy is not None and noise > MOST_NOISE * rows:
        raise ConfigError(
            f"privacy: epsilon {ledger.privacy.epsilon:g} is too small for these data: their number alone has a noise "
            f"of {noise:,.0f} rows; bring more rows or a greater epsilon"
        )


def _without_facts(column: Column, dtype: pa.DataType) -> Column:
    """Name, type, kind, format and domain of a column, and what the domain and the type say."""
    kept = {name: getattr(column, name) for name in ("name", "dtype", "format", "personal", "domain")}
    kind: Kind = "category" if column.kind == "empty" else column.kind
    if column.domain is not None:
        same = ("minimum", "maximum", "decimals", "categories", "ordered")
        kept |= {name: getattr(column, name) for name in same}
    elif kind == "boolean" and pa.types.is_boolean(dtype):
        kept["categories"] = (False, True)
    return Column(kind=kind, unique=column.kind == "identifier", **kept)


def _counted(columns: list[Column], table: AnyTable, ledger: Ledger) -> tuple[int, list[float]]:
    """Rows, at least 1, and of each column the share of nulls, above 0 where there may be any."""
    open_ = [column.name for column in columns if column.domain is None or column.domain.nulls]
    exact = [table.num_rows, *(flat(table.column(name)).null_count for name in open_)]
    noisy = ledger.gaussian(exact, ROWS_SHARE * ledger.rho, "number of rows and of nulls", math.sqrt(len(exact)))
    rows = max(round(noisy[0]), 1)
    nulls = dict(zip(open_, noisy[1:], strict=True))
    doubt = _sure_above(len(exact)) * ledger.deviation(ROWS_SHARE * ledger.rho, math.sqrt(len(exact)))
    shares = []
    for column in columns:
        count = nulls.get(column.name, 0.0)
        there = column.name in nulls and (count > doubt or column.domain is not None)
        shares.append(min(max(count, 1.0) / rows, 1.0) if there else 0.0)
    return rows, shares


def _sure_above(counts: int) -> float:
    """Deviations that noise alone is not expected to reach in any of so many counts."""
    return CERTAIN + math.sqrt(2 * math.log(counts))


def _learnt(
    column: Column, dtype: pa.DataType, chunks: pa.ChunkedArray, ledger: Ledger, rho: float, delta: float
) -> Column:
    """The column with bounds or categories that the ledger tells."""
    values = pc.drop_null(flat(chunks))
    if column.kind in LISTED:
        return column.model_copy(update={"categories": _frequent(column.name, values, ledger, rho, delta)})
    low, high = _bounds(column, values, ledger, rho)
    return column.model_copy(update={"minimum": low, "maximum": high, **_scale(value_type(dtype))})


def _scale(dtype: pa.DataType) -> dict[str, int]:
    """The decimals that a type says its numbers have."""
    if pa.types.is_integer(dtype):
        return {"decimals": 0}
    return {"decimals": dtype.scale} if pa.types.is_decimal(dtype) else {}


def _frequent(name: str, values: pa.Array, ledger: Ledger, rho: float, delta: float) -> tuple[Any, ...]:
    """The values that are told, in order; InputError where none is frequent enough."""
    each = pc.value_counts(hashable(values))
    counts = pc.struct_field(each, "counts").to_numpy(zero_copy_only=False)
    noisy, least = ledger.frequent(counts, rho, delta, f"categories of {name!r}")
    told = pc.struct_field(each, "values").filter(pa.array(noisy >= least))
    if not len(told):
        raise InputError(
            f"column {name!r}: no value is frequent enough to be told under this budget; declare its domain or drop it"
        )
    return tuple(sorted(to_scalars(told), key=lambda value: (str(type(value)), value)))


def _bounds(column: Column, values: pa.Array, ledger: Ledger, rho: float) -> tuple[Any, Any]:
    """Ends between which nearly all values lie: of numbers powers of two, of moments years."""
    if column.kind == "datetime":
        text = None if column.format is None else _form(column.format)
        edges = _year_ticks(values.type, text)
        line = to_ticks(values, text).to_numpy(zero_copy_only=False)
    else:
        powers = 2.0 ** np.arange(-EXPONENTS // 2, EXPONENTS // 2 + 1)
        edges = np.concatenate([-powers[::-1], [0.0], powers])
        line = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    place = np.clip(np.searchsorted(edges, line, side="right") - 1, 0, len(edges) - 2)
    noisy = ledger.gaussian(np.bincount(place, minlength=len(edges) - 1), rho, f"domain of {column.name!r}")
    doubt = _sure_above(len(edges)) * ledger.deviation(rho)
    sure = np.flatnonzero(noisy > doubt)
    if not len(sure):
        raise InputError(f"column {column.name!r}: its ends cannot be told under this budget; declare its domain")
    low, high = edges[sure[0]], edges[sure[-1] + 1]
    if column.kind == "datetime":
        return _moment(low, values.type, column.format), _moment(high, values.type, column.format)
    if pa.types.is_integer(values.type):
        return math.floor(max(low, -WIDEST)), math.ceil(min(high, WIDEST))
    return (str(low), str(high)) if pa.types.is_decimal(values.type) else (float(low), float(high))


def _year_ticks(dtype: pa.DataType, text: TextDates | None) -> Line:
    """First ticks of the years; equal parts of a day of times, powers of two of durations."""
    starts = pa.array([f"{year}-01-01" for year in YEARS]).cast(pa.date32())
    if text is not None:
        return np.asarray(starts.cast(pa.timestamp(text.unit)).cast(pa.int64()).to_numpy())
    if pa.types.is_duration(dtype):
        powers = 2 ** np.arange(62)
        return np.concatenate([-powers[::-1], [0], powers])
    if pa.types.is_time(dtype):
        day = pa.array([23 * 3600 + 59 * 60 + 59]).cast(pa.int32()).cast(pa.time32("s")).cast(dtype)
        return np.linspace(0, to_ticks(day, None)[0].as_py(), 25).astype(np.int64)
    wide = pa.types.is_timestamp(dtype) and dtype.unit == "ns"
    kept = starts.slice(1700 - YEARS.start, 2250 - 1700) if wide else starts
    moments = kept.cast(dtype if pa.types.is_date(dtype) else pa.timestamp(dtype.unit))
    return np.asarray(to_ticks(moments, None).to_numpy())


def _form(text: str) -> TextDates:
    """How dates of a format are written where no date is looked at."""
    return dates.of(pa.array([], pa.string()), text)


def _moment(tick: int, dtype: pa.DataType, text: str | None) -> str | int:
    """A tick as the schema writes it."""
    ticks = pa.array([int(tick)], pa.int64())
    if text is not None:
        return str(_form(text).write(ticks)[0])
    value = ticks.cast(integer_of(dtype)).cast(dtype)
    return int(tick) if pa.types.is_duration(dtype) else str(value.cast(pa.string())[0])


def measured(found: TableCodec, tokens: NDArray[np.integer[Any]], ledger: Ledger) -> TableCodec:
    """The codec with the noisy frequencies of its tokens; tokens (N, D)."""
    sizes = found.layout.cardinalities
    if not sizes:
        return found
    exact = np.concatenate([np.bincount(tokens[:, d], minlength=K) for d, K in enumerate(sizes)])
    noisy = ledger.gaussian(
        exact, SINGLES_SHARE * ledger.rho, "frequencies of each column's tokens", math.sqrt(len(sizes))
    )
    parts = np.split(noisy, np.cumsum(sizes)[:-1])
    counts = [np.round(simplex(part, float(part.sum()))).astype(np.int64) for part in parts]
    return found.with_counts([each if each.sum() else np.ones_like(each) for each in counts])


def declared_codec(schema: Schema, seed: int) -> TableCodec:
    """The codec that follows from the schema alone: each column's is fitted to made-up values that run evenly through
    its domain, with some nulls where there may be any."""
    streams = np.random.SeedSequence(seed).spawn(len(schema.columns))
    fitted = (
        codec(column.kind).fit(_examples(column, value_type(dtype)), column, np.random.default_rng(stream))
        for column, dtype, stream in zip(schema.columns, schema.arrow_schema.types, streams, strict=True)
    )
    return TableCodec(schema, tuple(fitted))


def _examples(column: Column, dtype: pa.DataType) -> pa.Array:
    values = _values(column, dtype)
    if not column.nullable:
        return values
    return pa.concat_arrays([values, pa.nulls(1 + len(values) // 100, values.type)])


def _values(column: Column, dtype: pa.DataType) -> pa.Array:
    match column.kind:
        case "category" | "boolean":
            return from_scalars(column.categories or (), dtype)
        case "number":
            return _numbers(column, dtype)
        case "datetime":
            return _moments(column, dtype)
        case "identifier":
            return pa.array(["1", "2", "3"] if is_text(dtype) else [0]).cast(dtype)
        case "personal":
            return pa.array(_people(column)).cast(dtype)
    return pa.nulls(1, dtype)


def _numbers(column: Column, dtype: pa.DataType) -> pa.Array:
    ends = pa.concat_arrays([scalar_array(end, dtype) for end in (column.minimum, column.maximum)])
    line = to_line(ends, column.decimals)
    apart = column.domain.apart if column.domain else ()
    alone = [to_line(scalar_array(value, dtype), column.decimals)[0] for value in apart]
    points = np.concatenate([evenly(line[0], line[1]), np.repeat(alone, ALONE)]).astype(line.dtype)
    return from_line(points, np.zeros(len(points), dtype=bool), dtype, column.decimals)


def _moments(column: Column, dtype: pa.DataType) -> pa.Array:
    text = None if column.format is None else _form(column.format)
    ends = [
        pa.array([str(end)]).cast(dtype) if text else scalar_array(end, dtype)
        for end in (column.minimum, column.maximum)
    ]
    low, high = (to_ticks(end, text)[0].as_py() for end in ends)
    step = _step(column, dtype)
    ticks = pa.array(low + step * evenly(0, (high - low) // step), pa.int64())
    return from_ticks(ticks, dtype, text)


def _step(column: Column, dtype: pa.DataType) -> int:
    """Ticks from one moment to the next: a day where the ends are days."""
    if not pa.types.is_timestamp(dtype) or len(str(column.minimum)) > len("2000-01-01"):
        return 86_400 if column.format == DAY else 1
    return NANOSECONDS["day"] // NANOSECONDS[dtype.unit]


def evenly(low: Any, high: Any) -> Line:
    """Every whole number from low to high, twice, where there are few, else points that cut BINS equal bins."""
    if isinstance(low, float | np.floating):
        return np.linspace(low, high, POINTS)
    if high - low < DISCRETE:
        return np.repeat(np.arange(int(low), int(high) + 1), 2)
    wide = [int(low) + (int(high) - int(low)) * i // (POINTS - 1) for i in range(POINTS)]
    return np.array([*wide, int(low) + 1])  # the next one says that the step is 1


def _people(column: Column) -> list[str]:
    """Made-up personal data, which show how such are written."""
    from faker import Faker

    personal = column.personal
    what, locale = (personal.what, personal.locale or "en_US") if personal else ("other", "en_US")
    if what in FAKES:
        fake = Faker(locale)
        fake.seed_instance(0)
        return [" ".join(str(getattr(fake, FAKES[what])()).split()) for _ in range(EXAMPLES)]
    return [f"{number:06d}" for number in range(EXAMPLES)] if what == "other" else words(what, locale).tolist()
