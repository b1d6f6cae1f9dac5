"""Reading a schema off the training rows: kinds, bounds, decimals, formats, categories and keys."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synth import personal as personal_data
from synth.codecs import dates
from synth.codecs.columns import flat
from synth.codecs.columns import kinds as known_kinds
from synth.codecs.columns.datetime import to_ticks
from synth.codecs.columns.identifier import TextFormat
from synth.codecs.columns.number import to_line
from synth.codecs.columns.personal import as_text, written
from synth.codecs.domains import check_domain, declared_facts, declared_kind
from synth.codecs.grid import Line, thin
from synth.codecs.image import described
from synth.codecs.rules.declaration import declare, rule_kinds
from synth.codecs.text import from_scalars, hashable, is_binary, is_text, places_written, to_scalars, value_type
from synth.constraints import Rule, Unique, parse_rules
from synth.deniable import Deniable
from synth.errors import ConfigError, InputError
from synth.imaging import is_image
from synth.modality import modality_of
from synth.nest import series_names, series_schema
from synth.patterns import DENSE, Maker, regex
from synth.schema import RARE_VALUES, Column, Domain, Kind, Personal, Scalar, Schema, least_rows, pack_arrow
from synth.series import nesting
from synth.stored import AnyTable, Stored
from synth.texts import free_text, worded

log = logging.getLogger(__name__)

CATEGORIES = 2000  # text with more values than this is an identifier
NEARLY_UNIQUE, LEAST_ROWS = 0.95, 50  # so is text of which so large a share is distinct, from so many rows on
KEY_NAME = re.compile(r"(^|[^a-z])(id|uuid|guid|key)$", re.IGNORECASE)
MATERIAL = 0.05  # share of the rows with rare values from which on it is worth a warning
DECIMALS = 16  # a float has no more that are meant
EXACT = 2**53  # beyond it a float does not tell integers apart


def detect(
    table: AnyTable,
    *,
    target: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
    rules: Sequence[Rule | Mapping[str, Any]] = (),
    personal: Mapping[str, Personal | str] | None = None,
    domains: Mapping[str, Domain] | None = None,
    rare_values: int = RARE_VALUES,
    texts: bool = False,
) -> Schema:
    """The schema of the training rows.

    target: column that a consumer would predict
    kinds: column name -> kind, where the user knows better
    rules: what every row keeps, as rules of `synth.constraints` or their plain values
    personal: column name -> what personal data it is, likewise
    domains: column name -> what it may hold; bounds and categories are then these, and every value has to be inside
    rare_values: rows that a category, or a number or moment at an end, needs to be reproduced, and to stand in the
        schema; lower in small tables, see `Schema.least`. 0 and 1 withhold nothing
    texts: whether a column of texts, see `synth.texts.free_text`, is learnt as such where no kind says so
    Raises InputError that names the column: a name twice, infinite numbers, a target that is not there, nested
    values with too many different ones, no rows, rows that break a rule; ConfigError for rules that cannot be kept.
    """
    if nesting(table.schema) is not None:
        if rules:
            raise ConfigError("rules: they are kept in tables of rows only; leave them out")
        whole = table.read() if isinstance(table, Stored) else table
        known = {**dict.fromkeys(series_names(whole.schema), "identifier"), **(kinds or {})}
        by_column = ({name: kind for name, kind in known.items() if name not in (personal or {})}, personal, domains)
        return series_schema(whole, partial(_of_part, target, by_column, rare_values))
    names = table.column_names
    wanted: dict[str, Kind] = {**(kinds or {}), **dict.fromkeys(personal or {}, "personal")}
    _check(table, target, {**wanted, **dict.fromkeys(domains or {}, "number")})
    declared = parse_rules(rules)
    types = dict(zip(names, table.schema.types, strict=True))
    wanted = {**wanted, **{name: declared_kind(domain, types[name]) for name, domain in (domains or {}).items()}}
    wanted = {**rule_kinds(declared, table, wanted)}
    wanted = {**_texts(table, target, texts and "text" not in wanted.values()), **wanted}
    people = _personal(table, target, wanted, personal or {})
    least = least_rows(rare_values, table.num_rows)
    if least < rare_values:
        log.warning("rare_values: %d is lowered to %d for %s rows", rare_values, least, f"{table.num_rows:,}")
    keyed = {name for rule in declared if isinstance(rule, Unique) and len(rule.columns) > 1 for name in rule.columns}
    columns = tuple(
        _column(name, chunks, wanted.get(name), name == target, people.get(name), least, name in keyed)
        if domains is None or name not in domains
        else _of_domain(name, chunks, domains[name], least)
        for name, chunks in zip(names, table.columns, strict=True)
    )
    if declared:
        declared, columns = declare(declared, columns, table, least)
    key = next((column.name for column in columns if column.kind == "identifier" and column.unique), None)
    arrow = pack_arrow(table.schema)
    return Schema(
        modality=modality_of(columns, declared),
        columns=columns,
        target=target,
        primary_key=key,
        rows=table.num_rows,
        arrow=arrow,
        rules=declared,
        rare_values=rare_values,
    )


def _of_part(target: str | None, by_column: Sequence[Mapping[str, Any] | None], rare: int, part: pa.Table) -> Schema:
    """Of what series have once, or of what their steps have."""
    kinds, personal, domains = ({k: v for k, v in (of or {}).items() if k in part.column_names} for of in by_column)
    own = target if target in part.column_names else None
    return detect(part, target=own, kinds=kinds, personal=personal, domains=domains or None, rare_values=rare)


def detect_again(table: AnyTable, schema: Schema) -> Schema:
    """The schema of some of a dataset's rows, whose columns keep their kinds: bounds, categories and nulls are read
    off these rows alone."""
    return detect(
        table,
        target=schema.target,
        kinds={c.name: c.kind for c in schema.columns if c.kind not in ("empty", "personal", "image")},
        rules=schema.rules,
        personal={column.name: column.personal for column in schema.columns if column.personal is not None},
        domains={column.name: column.domain for column in schema.columns if column.domain is not None},
        rare_values=schema.rare_values,
    )


def _texts(table: AnyTable, target: str | None, wanted: bool) -> dict[str, Kind]:
    """The columns beside pictures whose texts have several words; without pictures one of texts, where it is wanted."""
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    if not any(is_image(dtype) for dtype in types.values()):
        name = free_text(table, target) if wanted else None
        return {} if name is None else {name: "text"}
    texts = (name for name, dtype in types.items() if name != target and is_text(value_type(dtype)))
    return {name: "text" for name in texts if worded(pc.drop_null(flat(table.column(name))))}


def _check(table: AnyTable, target: str | None, kinds: Mapping[str, Kind]) -> None:
    names = table.column_names
    if not names:
        raise InputError("the table has no columns")
    if table.num_rows == 0:
        raise InputError("the table has no rows; at least 1 is needed")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"column {twice[0]!r} stands twice; names must be unique")
    if target is not None and target not in names:
        raise InputError(f"target {target!r} is not a column; there are: {', '.join(names)}")
    for name, kind in kinds.items():
        if name not in names:
            raise ConfigError(f"kinds: {name!r} is not a column; there are: {', '.join(names)}")
        known = (*known_kinds(), "image", "text")
        if kind not in known:
            raise ConfigError(f"kinds: {name!r}: {kind!r} is unknown; there are: {', '.join(known)}")


def _personal(
    table: AnyTable, target: str | None, wanted: Mapping[str, Kind], declared: Mapping[str, Personal | str]
) -> dict[str, Personal]:
    """What personal data the columns hold, as declared or as found."""
    found: dict[str, Personal] = {}
    values: dict[str, pa.Array] = {}
    for name, dtype in zip(table.column_names, table.schema.types, strict=True):
        if wanted.get(name, "personal") != "personal" or (name == target and name not in wanted):
            continue
        inner = value_type(dtype)
        whole = is_text(inner) or pa.types.is_integer(inner)
        array = pc.drop_null(flat(table.column(name))) if whole else ()
        if not len(array):
            continue
        what = declared.get(name) or personal_data.find(name, array)
        if what is None and name in wanted:
            what = "other"
        if what is not None:
            found[name] = Personal(what=what) if isinstance(what, str) else what
            values[name] = array
    if any(personal.what in ("address", "street") for personal in found.values()):
        for name, chunks in zip(table.column_names, table.columns, strict=True):
            if name not in (*wanted, *found, target) and personal_data.is_postcode(name, chunks):
                found[name], values[name] = Personal(what="postcode"), pc.drop_null(flat(chunks))
    complete = personal_data.described(found, values)
    for name, personal in complete.items():
        said = f"personal data ({personal.what}, {personal.locale}); made-up values stand in its place"
        log.warning("column %r: %s", name, said)
    return complete


def _column(
    name: str,
    chunks: pa.ChunkedArray,
    wanted: Kind | None,
    target: bool,
    personal: Personal | None,
    least: int,
    keyed: bool,
) -> Column:
    dtype = chunks.type
    _check_storable(name, dtype)
    if is_image(dtype) and wanted in (None, "image"):
        return Column(name=name, kind="image", dtype=str(dtype), **described(name, chunks))
    try:
        array = flat(chunks)
        values = pc.drop_null(array)
        facts: dict[str, Any] = {"name": name, "dtype": str(dtype), "null_rate": array.null_count / len(array)}
        if not len(values):
            empty = not pa.types.is_dictionary(dtype)
            return Column(kind="empty", **facts) if empty else _described("category", facts, chunks, values, least)
        if wanted is not None:
            _check_kind(wanted, name, values)
        if personal is not None:
            return Column(kind="personal", **facts, **_person(name, chunks, values, personal))
        kind = wanted or _kind(name, dtype, values, target, least)
        if len(values) < least and kind != "identifier" and not _declared(dtype):
            gone = {"least": least, "withheld": _distinct(values), "withheld_rows": len(values)}
            return Column(kind="empty", **facts, **gone)
        if keyed and kind in ("number", "datetime"):
            least = 1  # a key is made of all that lies between the ends, and would run out of room
        return _described(kind, facts, chunks, values, least)
    except (pa.ArrowException, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"column {name!r}: {dtype} values cannot be used ({reason}); convert them to text") from None


def _of_domain(name: str, chunks: pa.ChunkedArray, domain: Domain, least: int) -> Column:
    """A column whose owner says what it may hold."""
    _check_storable(name, chunks.type)
    array = flat(chunks)
    values = pc.drop_null(array)
    kind = declared_kind(domain, chunks.type)
    text = dates.find(pa.array([str(domain.min), str(domain.max)])) if is_text(values.type) else None
    if kind == "datetime" and is_text(values.type) and text is None:
        raise ConfigError(f"domains: {name!r}: {domain.min!r} and {domain.max!r} follow no single known date format")
    form = text.format if text else None
    check_domain(name, domain, array, form)
    facts = {"least": least, **declared_facts(domain, chunks.type, form)}
    share = array.null_count / len(array)
    return Column(name=name, kind=kind, dtype=str(chunks.type), null_rate=share, domain=domain, **facts)


def _check_storable(name: str, dtype: pa.DataType) -> None:
    """InputError where Parquet, which samples are written to, has no place for the type."""
    try:
        pq.write_table(pa.schema([("x", dtype)]).empty_table(), pa.BufferOutputStream())
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"column {name!r}: Parquet cannot hold {dtype} ({reason}); cast it or drop it") from None


def _declared(dtype: pa.DataType) -> bool:
    """Whether a type says which values there are, so that none of them tells of a row."""
    return bool(pa.types.is_dictionary(dtype) or pa.types.is_boolean(dtype))


def _described(kind: Kind, facts: Mapping[str, Any], chunks: pa.ChunkedArray, values: pa.Array, least: int) -> Column:
    found = {"least": least, **_facts(kind, facts["name"], chunks, values, least)}
    if found.get("withheld"):
        level = logging.WARNING if found["withheld_rows"] > MATERIAL * len(values) else logging.INFO
        said = "column %r: %d rare values in %d rows are withheld; others stand in their place"
        log.log(level, said, facts["name"], found["withheld"], found["withheld_rows"])
    return Column(kind=kind, **facts, **found)


def _check_kind(kind: Kind, name: str, values: pa.Array) -> None:
    """InputError where a kind that the user asked for cannot hold the column's values."""
    inner = values.type
    integer, text = pa.types.is_integer(inner), is_text(inner)
    fits = {
        "number": integer or pa.types.is_floating(inner) or pa.types.is_decimal(inner),
        "boolean": pa.types.is_boolean(inner) or _distinct(values) <= 2,
        "datetime": text or pa.types.is_temporal(inner),
        "identifier": text or integer,
        "personal": text or integer,
        "text": text,
        "empty": False,
    }
    if not fits.get(kind, True):
        raise InputError(f"column {name!r}: its {inner} values cannot be of kind {kind!r}")


def _kind(name: str, dtype: pa.DataType, values: pa.Array, target: bool, least: int) -> Kind:
    inner = values.type
    if pa.types.is_boolean(inner):
        return "boolean"
    if pa.types.is_dictionary(dtype):
        return "identifier" if is_text(inner) and _is_identifier(name, values, 1) else "category"
    if pa.types.is_temporal(inner):
        return "datetime"
    if pa.types.is_integer(inner):
        return "identifier" if not target and _is_key(name, values) else "number"
    if pa.types.is_floating(inner) or pa.types.is_decimal(inner):
        return "number"
    if is_text(inner):
        if dates.find(values) is not None:
            return "datetime"
        return "identifier" if _is_identifier(name, values, least) else "category"
    if is_binary(inner) or pa.types.is_nested(inner):
        return "category"
    raise InputError(f"column {name!r}: type {inner} is not supported; drop the column or convert it to text")


def _facts(kind: Kind, name: str, chunks: pa.ChunkedArray, values: pa.Array, least: int) -> dict[str, Any]:
    if kind in ("category", "boolean"):
        return _categories(name, chunks, values, least)
    if kind == "identifier":
        return _identifiers(name, chunks, values)
    if kind == "datetime":
        return _moments(name, values, least)
    if kind == "number":
        return _numbers(name, values, least)
    return {}


def _identifiers(name: str, chunks: pa.ChunkedArray, values: pa.Array) -> dict[str, Any]:
    unique = _distinct(values) == len(values) and len(values) == len(chunks)
    if not is_text(values.type):
        return {"unique": unique, "pattern": None}
    form = TextFormat.of(values)
    if form.exposed:
        log.warning("column %r: its format has no text left that is not in the source; real ones come out", name)
    return {"unique": unique, "pattern": form.pattern, "exposed": "no room in its format" if form.exposed else None}


def _person(name: str, chunks: pa.ChunkedArray, values: pa.Array, personal: Personal) -> dict[str, Any]:
    texts = as_text(values)
    unique = personal.what in personal_data.UNIQUE and _distinct(values) == len(chunks)
    facts: dict[str, Any] = {"personal": personal, "unique": unique}
    if personal.what == "email":
        facts["pattern"] = f"^{personal_data.LOOKS['email']}$"
    templates = written(personal.what, texts, pa.types.is_integer(values.type)).templates
    if templates and is_text(values.type):
        facts["pattern"] = regex(templates, unique)
    if templates and Maker(templates, 0, unique, Deniable.fit(texts)).exposed:
        log.warning("column %r: its format has no text left that is not in the source; real ones come out", name)
        facts["exposed"] = "no room in its format"
    return facts


def _distinct(values: pa.Array) -> int:
    return int(pc.count_distinct(hashable(values)).as_py())


def _is_identifier(name: str, values: pa.Array, least: int) -> bool:
    """Very many different texts, most of them once, or none of them often enough to be reproduced."""
    distinct = _distinct(values)
    nearly_unique = len(values) >= LEAST_ROWS and distinct >= NEARLY_UNIQUE * len(values)
    if distinct > CATEGORIES or nearly_unique or len(values) >= least > _most(values):
        log.warning(
            "column %r: %d different texts in %d rows; treated as an identifier: new ones of the same format are made",
            name,
            distinct,
            len(values),
        )
        return True
    return False


def _most(values: pa.Array) -> int:
    """Rows of the most frequent value."""
    return int(pc.max(pc.struct_field(pc.value_counts(hashable(values)), "counts")).as_py())


def _is_key(name: str, values: pa.Array) -> bool:
    """A running number, or unique integers under a name that says key; few rows prove nothing."""
    if len(values) < LEAST_ROWS or _distinct(values) < len(values):
        return False
    spread = pc.max(values).as_py() - pc.min(values).as_py() + 1
    return spread <= DENSE * len(values) or KEY_NAME.search(name) is not None


def _categories(name: str, chunks: pa.ChunkedArray, values: pa.Array, least: int) -> dict[str, Any]:
    if pa.types.is_dictionary(chunks.type):
        dictionary = chunks.unify_dictionaries().chunk(0).dictionary if chunks.num_chunks else values
        known = flat(dictionary).drop_null().unique()
        return {"categories": tuple(to_scalars(known)), "ordered": bool(chunks.type.ordered), "least": 1}
    if pa.types.is_nested(values.type):
        _check_nested(values)
    least = 1 if _declared(values.type) else least
    each = pc.value_counts(hashable(values))
    counts = pc.struct_field(each, "counts").to_numpy()
    found: set[Scalar] = set(to_scalars(pc.struct_field(each, "values").filter(pa.array(counts >= least))))
    if len(counts) > CATEGORIES and not is_text(values.type) and not pa.types.is_integer(values.type):
        raise InputError(
            f"column {name!r}: {len(counts):,} different {values.type} values, more than the {CATEGORIES:,} that can "
            "be categories; flatten it into columns or drop it"
        )
    if not found:
        raise InputError(
            f"column {name!r}: none of its {len(counts):,} values has {least} rows, so that none may come out; drop "
            "it, declare its values by a dictionary type (pandas: category), or set rare_values to 1"
        )
    return {
        "categories": tuple(sorted(found, key=lambda value: (str(type(value)), value))),
        "least": least,
        "withheld": int((counts < least).sum()),
        "withheld_rows": int(counts[counts < least].sum()),
    }


def _check_nested(values: pa.Array) -> None:
    """TypeError where a nested value has a leaf that does not come back from its text."""
    first = to_scalars(values.slice(0, 1))
    if to_scalars(from_scalars(first, values.type)) != first:
        raise TypeError("a leaf does not come back from its text")


def _moments(name: str, values: pa.Array, least: int) -> dict[str, Any]:
    text = dates.find(values) if is_text(values.type) else None
    if is_text(values.type) and text is None:
        raise InputError(f"column {name!r}: its texts follow no single known date format; make it a category")
    places, gone = _ends(to_ticks(values, text).to_numpy(), least)
    low, high = (values[place] for place in places)
    return {"format": text and text.format, "minimum": _iso(low), "maximum": _iso(high), **gone}


def _ends(line: Line, least: int) -> tuple[tuple[int, int], dict[str, int]]:
    """Where the least and the greatest value stand that may come out, and what is withheld."""
    kept = thin(line, least)
    moved = kept != line
    gone = {"withheld": len(np.unique(line[moved])), "withheld_rows": int(moved.sum())} if moved.any() else {}
    low, high = (int(np.argmax(line == end)) for end in (kept.min(), kept.max()))
    return (low, high), gone


def _iso(value: pa.Scalar) -> str | int:
    """ISO text of a moment, dates as text as they are; a duration as its number of units."""
    if pa.types.is_duration(value.type):
        return int(value.cast(pa.int64()).as_py())
    return str(value.cast(pa.string()).as_py())


def _numbers(name: str, values: pa.Array, least: int) -> dict[str, Any]:
    inner = values.type
    if pa.types.is_decimal(inner):
        places, gone = _ends(to_line(values, inner.scale), least)
        low, high = (values[place].as_py() for place in places)
        return {"decimals": inner.scale, "minimum": str(low), "maximum": str(high), **gone}
    if pa.types.is_integer(inner):
        places, gone = _ends(to_line(values, 0), least)
        low, high = (values[place].as_py() for place in places)
        wide = max(abs(low), abs(high)) > EXACT
        return {"decimals": 0, "minimum": str(low) if wide else low, "maximum": str(high) if wide else high, **gone}
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    infinite = int(np.isinf(numbers).sum())
    if infinite:
        raise InputError(
            f"column {name!r}: {infinite:,} of {len(numbers):,} values are infinite; drop the rows or make them null"
        )
    places, gone = _ends(numbers, least)
    low, high = (float(numbers[place]) + 0.0 for place in places)
    return {"decimals": common_decimals(numbers, inner), "minimum": low, "maximum": high, **gone}


def common_decimals(numbers: np.ndarray, dtype: pa.DataType) -> int | None:
    """The fewest digits after the point that give back every value exactly; None where 16 do not."""
    width = {16: np.float16, 32: np.float32, 64: np.float64}[dtype.bit_width]
    largest = float(np.abs(numbers).max())
    for part in (numbers[:1000], numbers):
        found = next(
            (
                d
                for d in range(DECIMALS)
                if largest * 10.0**d < EXACT
                and np.array_equal((np.round(part * 10.0**d) / 10.0**d).astype(width), part.astype(width))
            ),
            None,
        )
        if found is None:
            return _written_decimals(numbers) if width is np.float64 else None
    return found


def _written_decimals(numbers: np.ndarray) -> int | None:
    """The most digits after the point in the shortest text of each float64; None where that is more than 16."""
    places = 0
    for part in (numbers[:1000], numbers):
        places = places_written(part).max()
        if not places <= DECIMALS:
            return None
    return int(places)
