"""Samples held against a Great Expectations suite, to JSON and to Data Docs. The only importer of that library."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth.errors import FormatError, InputError
from synth.expectations import fit_to, suite
from synth.picture_views import VIEWS, picture_view
from synth.rule_expectations import rule_view
from synth.storage import check_replaceable, parquet_files, replacing
from synth.views import column_view, pair_view, title

__all__ = ["suite", "validate"]

CELLS = 4_000_000  # values that are held at once, where a single column has no more
WHOLE = ("names", "rows")  # views of the table as a whole
WIDTH = 16  # columns that are looked at together: each expectation copies the frame
DOCS = ("index.html", "static", "expectations", "validations")  # all that a folder of Data Docs holds
LONG = 160  # characters of what was observed
UNTOLD = ("column", "column_list", "partition_object", "tail_weight_holdout", "internal_weight_holdout")
ARROW_ERRORS = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass
class Batch:
    """Expectations that are checked on one frame, and the columns of that frame: title -> (columns, view)."""

    places: list[int] = field(default_factory=list)
    columns: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)


def validate(samples: str | Path, suite: Mapping[str, Any], docs: str | Path | None) -> dict[str, Any]:
    """Check the Parquet samples (one file or a folder of parts) against what `suite` made.

    docs: folder to write Great Expectations' Data Docs to; they are for looking at and hold the time of the run
    Returns JSON without times or random ids: `success`, `rows`, `critical_failures` and `warnings` (a line each), and
    `expectations`, each with `expectation`, `columns`, `severity`, `success` and what was `observed`. Columns are read
    a few at a time. InputError where there is no Parquet or `docs` holds something else, FormatError where `suite` is
    none.
    """
    if not {"expectations", "meta"} <= set(suite) or "columns" not in suite["meta"]:
        raise FormatError("not a suite of this project: it has no expectations or no meta.columns")
    if docs is not None:
        check_replaceable(docs, *DOCS)
    files = parquet_files(samples)
    try:
        schemas, rows = [pq.read_schema(file) for file in files], sum(pq.read_metadata(file).num_rows for file in files)
    except pa.ArrowInvalid as error:
        raise InputError(f"{samples}: not a Parquet file ({str(error).splitlines()[0]})") from None
    suite = {**suite, "expectations": [fit_to(config, rows) for config in suite["expectations"]]}
    checked = [_type_entry(spec, schemas) for spec in suite["meta"]["columns"]]
    with _quiet() as gx:
        results = _run(gx, suite, files, schemas[0], rows)
        checked += [_entry(config, result) for config, result in zip(suite["expectations"], results, strict=True)]
        if docs is not None:
            _write_docs(gx, suite, results, Path(docs))
    failed = [entry for entry in checked if not entry["success"]]
    lines = {
        severity: [_line(entry) for entry in failed if entry["severity"] == severity]
        for severity in ("critical", "warning")
    }
    return {
        "success": not lines["critical"],
        "rows": rows,
        "critical_failures": lines["critical"],
        "warnings": lines["warning"],
        "expectations": checked,
    }


@contextmanager
def _quiet() -> Iterator[Any]:
    """Great Expectations without telemetry, progress bars, log lines and warnings of its own."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx

        logger = logging.getLogger("great_expectations")
        level, propagates = logger.level, logger.propagate
        logger.setLevel(logging.CRITICAL)
        try:
            yield gx
        finally:
            logger.setLevel(level)
            logger.propagate = propagates


def _context(gx: Any) -> Any:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(False)
    return context


def _type_entry(spec: Mapping[str, Any], files: list[pa.Schema]) -> dict[str, Any]:
    """Whether a column has its Arrow type in all files: read off the Parquet schemas, of which frames know nothing."""
    places = [(arrow, arrow.get_field_index(spec["name"])) for arrow in files]
    types = ["no such column" if place < 0 else str(arrow.field(place).type) for arrow, place in places]
    found = next((dtype for dtype in types if dtype != spec["dtype"]), types[0])
    return {
        "expectation": "expect_column_arrow_type_to_be",
        "columns": [spec["name"]],
        "severity": "critical",
        "success": found == spec["dtype"],
        "expected": spec["dtype"],
        "observed": found,
    }


def _batches(suite: Mapping[str, Any], rows: int) -> Iterator[Batch]:
    """Expectations by the view they need, a few columns at a time."""
    configs = suite["expectations"]
    places = [place for place, config in enumerate(configs) if config["meta"]["view"] not in WHOLE]
    batch = Batch()
    for place in sorted(places, key=lambda place: str(configs[place]["meta"]["view"])):
        needed = _needed(configs[place])
        clash = any(batch.columns.get(name, source) != source for name, source in needed.items())
        more = needed.keys() - batch.columns.keys()
        width = len(batch.columns) + len(more)
        if batch.places and (clash or (more and (width > WIDTH or width * rows > CELLS))):
            yield batch
            batch = Batch()
        batch.columns |= needed
        batch.places.append(place)
    if batch.places:
        yield batch


def _needed(config: Mapping[str, Any]) -> dict[str, tuple[tuple[str, ...], str]]:
    """The frame's columns that an expectation looks at, as in `Batch`."""
    columns, view = tuple(config["meta"]["columns"]), config["meta"]["view"]
    if view in ("pair", "rule"):
        return {config["kwargs"]["column"]: (columns, view)}
    return {title(name): ((name,), view) for name in columns}


def _run(gx: Any, suite: Mapping[str, Any], files: list[Path], arrow: pa.Schema, rows: int) -> list[dict[str, Any]]:
    """One result for each expectation, as Great Expectations' JSON."""
    configs = suite["expectations"]
    specs = {spec["name"]: spec for spec in suite["meta"]["columns"]}
    found: dict[int, dict[str, Any]] = {}
    asset = _context(gx).data_sources.add_pandas("samples").add_dataframe_asset("samples")
    check = partial(_check, gx, asset.add_batch_definition_whole_dataframe("samples"), configs)
    whole = {
        "names": pd.DataFrame(columns=[title(name) for name in arrow.names], dtype=object),
        "rows": pd.DataFrame(index=pd.RangeIndex(rows)),
    }
    for view in WHOLE:
        found |= check([place for place, config in enumerate(configs) if config["meta"]["view"] == view], whole[view])
    for batch in _batches(suite, rows):
        frame, broken = _frame(batch, files, specs, suite["meta"].get("views", {}))
        reasons = {
            place: [broken[name] for name in _needed(configs[place]) if name in broken] for place in batch.places
        }
        found |= check([place for place in batch.places if not reasons[place]], frame)
        found |= {place: _unchecked(configs[place], reason[0]) for place, reason in reasons.items() if reason}
    return [found[place] for place in range(len(configs))]


def _frame(
    batch: Batch,
    files: list[Path],
    specs: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, Any],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns of a batch in their views, and those that cannot be had with the reason."""
    views: dict[str, pd.Series] = {}
    broken: dict[str, str] = {}
    readers = [pq.ParquetFile(file) for file in files]
    there = set.intersection(*(set(reader.schema_arrow.names) for reader in readers))
    wanted = sorted({column for columns, _ in batch.columns.values() for column in columns} & there)
    tables = [reader.read(columns=wanted) for reader in readers]
    for name, (columns, view) in batch.columns.items():
        try:
            chunks = [pa.concat_tables([table.select([column]) for table in tables]).column(0) for column in columns]
            if view == "rule":
                views[name] = rule_view(rules[name], chunks)
            else:
                views[name] = _view(chunks, view, specs[columns[0]])
        except KeyError:
            broken[name] = "no such column"
        except ARROW_ERRORS as error:
            broken[name] = f"cannot be read as the source's type ({str(error).splitlines()[0]})"
    return pd.DataFrame(views), broken


def _view(chunks: list[pa.ChunkedArray], view: str, spec: Mapping[str, Any]) -> pd.Series:
    """One column, or two, as the expectations of a batch look at them."""
    if view in VIEWS:
        return picture_view(pa.concat_arrays(chunks[0].chunks), view)
    return pair_view(*chunks) if view == "pair" else column_view(chunks[0], view, spec)


def _check(
    gx: Any, definition: Any, configs: list[dict[str, Any]], places: list[int], frame: pd.DataFrame
) -> dict[int, dict[str, Any]]:
    """Results of the expectations at `places` on one frame."""
    if not places:
        return {}
    parts = [{**configs[place], "meta": {**configs[place]["meta"], "place": place}} for place in places]
    checks = gx.ExpectationSuite(name="samples", expectations=parts)
    result = definition.get_batch(batch_parameters={"dataframe": frame}).validate(checks, result_format="SUMMARY")
    found = {}
    for entry in result.to_json_dict()["results"]:
        place = entry["expectation_config"]["meta"].pop("place")
        entry["expectation_config"] |= {"id": None, "kwargs": configs[place]["kwargs"]}
        found[place] = entry
    return found


def _unchecked(config: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The result of an expectation whose column cannot be read: it failed."""
    return {
        "success": False,
        "expectation_config": {**config, "id": None},
        "result": {"observed_value": reason},
        "meta": {},
        "exception_info": {"raised_exception": False, "exception_traceback": None, "exception_message": None},
    }


def _entry(config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the results."""
    return {
        "expectation": config["type"],
        "columns": list(config["meta"]["columns"]),
        "severity": config["severity"],
        "success": bool(result["success"]),
        "expected": _short(_expected(config["kwargs"])) + (" decimals" if config["meta"]["view"] == "decimals" else ""),
        "observed": _short(_observed(result)),
        **({"rule": config["meta"]["rule"]} if "rule" in config["meta"] else {}),
    }


def _expected(kwargs: Mapping[str, Any]) -> str:
    asked = {key: value for key, value in kwargs.items() if key not in UNTOLD}
    if {"min_value", "max_value"} <= asked.keys():
        return f"{asked['min_value']} to {asked['max_value']}"
    if "value_set" in asked:
        return f"{len(asked['value_set'])} values"
    if "column_A" in asked:
        sign = ">=" if asked["or_equal"] else ">"
        share = f" in {asked['mostly']:.0%} of rows" if "mostly" in asked else ""
        return f"{asked['column_A']} {sign} {asked['column_B']}{share}"
    return ", ".join(f"{key} {value}" for key, value in asked.items())


def _observed(result: Mapping[str, Any]) -> str:
    for info in _exceptions(result.get("exception_info") or {}):
        return f"could not be checked ({info})"
    facts = result.get("result") or {}
    if facts.get("details", {}).get("mismatched"):
        differ = facts["details"]["mismatched"]
        one = differ[0]
        return f"{len(differ)} names differ; {one['Found']!r} stands where {one['Expected']!r} should"
    if facts.get("observed_value") is not None:
        value = facts["observed_value"]
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if "unexpected_count" in facts:
        examples = [_value(value) for value in facts.get("partial_unexpected_list", [])[:3] if value is not None]
        named = f", such as {', '.join(examples)}" if examples else ""
        return f"{facts['unexpected_count']} of {facts['element_count']} values unexpected{named}"
    return "undefined: no value to compare"


def _value(value: Any) -> str:
    """One value, or the two of a pair, as text."""
    return " with ".join(map(_value, value)) if isinstance(value, list | tuple) else str(value)


def _exceptions(info: Mapping[str, Any]) -> Iterator[str]:
    for part in (info, *info.values()):
        if isinstance(part, Mapping) and part.get("raised_exception"):
            yield str(part.get("exception_message")).splitlines()[0]


def _short(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 1] + "…"


def _line(entry: Mapping[str, Any]) -> str:
    """A failed expectation in one line."""
    if entry.get("rule"):
        return f"rule {entry['rule']!r}: {entry['observed']}"
    what = entry["expectation"].removeprefix("expect_").replace("_", " ")
    names = ", ".join(repr(name) for name in entry["columns"])
    where = f"column {names}: " if len(entry["columns"]) == 1 else f"columns {names}: " if names else ""
    wanted = f" ({entry['expected']})" if entry["expected"] else ""
    return f"{where}{what}{wanted}: {entry['observed']}"


def _write_docs(gx: Any, suite: Mapping[str, Any], results: list[dict[str, Any]], docs: Path) -> None:
    """Great Expectations' own pages, rendered from the JSON of the results."""
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    met = sum(bool(result["success"]) for result in results)
    whole = {
        "success": met == len(results),
        "results": results,
        "suite_name": suite["name"],
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": len(results),
            "successful_expectations": met,
            "unsuccessful_expectations": len(results) - met,
            "success_percent": 100 * met / max(1, len(results)),
        },
        "meta": {},
        "id": None,
    }
    with replacing(docs) as temporary:
        context = _context(gx)
        site = {"class_name": "SiteBuilder", "show_how_to_buttons": False}
        site["store_backend"] = {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(temporary.absolute()),
        }
        context.add_data_docs_site("site", {**site, "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}})
        context.suites.add(gx.ExpectationSuite(name=suite["name"], expectations=suite["expectations"]))
        key = ValidationResultIdentifier(
            expectation_suite_identifier=ExpectationSuiteIdentifier(name=suite["name"]),
            run_id=RunIdentifier(run_name=suite["name"]),
            batch_identifier="samples",
        )
        context.validation_results_store.set(key, expectationSuiteValidationResultSchema.load(whole))
        context.build_data_docs(site_names=["site"])
