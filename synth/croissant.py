"""Croissant metadata of a release: croissant.json, with the properties of responsible AI.

The formats are Croissant 1.0 (http://mlcommons.org/croissant/1.0) and its vocabulary RAI 1.0
(http://mlcommons.org/croissant/RAI/1.0) of MLCommons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from synth.card import CardInfo, plain
from synth.schema import Schema

CONFORMS = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
TERMS = """citeAs column equivalentProperty extract field fileProperty fileObject fileSet format includes isLiveDataset
jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source subField
transform"""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    **{term: f"cr:{term}" for term in TERMS.split()},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
MEDIA_TYPES = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".pem": "application/x-pem-file",
}
TYPES = (  # predicate on an Arrow type -> Croissant's name of it
    (pa.types.is_boolean, "sc:Boolean"),
    (pa.types.is_integer, "sc:Integer"),
    (pa.types.is_floating, "sc:Float"),
    (pa.types.is_decimal, "sc:Float"),
    (pa.types.is_date, "sc:Date"),
    (pa.types.is_timestamp, "sc:DateTime"),
    (pa.types.is_time, "sc:Time"),
    (pa.types.is_string, "sc:Text"),
    (pa.types.is_large_string, "sc:Text"),
    (pa.types.is_string_view, "sc:Text"),
    (pa.types.is_null, "sc:Text"),
)
RECORDS, PARTS = "rows", "parts"

MADE = (
    "Not collected from persons or things: each row was drawn from a generative model{model} fitted on {rows:,} rows."
)
MISSING = "Nulls are drawn like other values, as often as in the source; none was filled."
RARE = "Values of a column that fewer than {least} training rows have are not reproduced ({values:,} are withheld)."
REPLACED = "Identifiers and personal data ({names}) are made up; they were not learnt."
BIASES = "Biases of the source are kept. Rare values, and rare groups with them, are under-represented."
USES = "Development and tests of software, exploration, teaching, training of models that are then tested on real rows."
LIMITS = (
    "Rare combinations may be missing or wrong.",
    "What is computed on these rows estimates what the source would give; check on real rows what matters.",
    "Not meant for conclusions about single persons or things.",
)
SENSITIVE = "PRIVACY.md says what was done, what was measured and what is not covered."
IMPACT = (
    "Rows can be shared where those of the source cannot. That they are synthetic does not prove that nothing can be "
    "inferred about the source: PRIVACY.md has the figures."
)
MAINTENANCE = (
    "Released once, and not updated in place: a later release has another version. SHA256SUMS identifies this one; "
    "`synth verify` checks it."
)


def croissant(
    info: CardInfo, schema: Schema, rows: int, files: Mapping[str, tuple[str, int]], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """The metadata as JSON-LD.

    files: name relative to the release -> (sha256, bytes), those of `data/` among them
    Columns without a name, or of a type that Croissant has no word for (durations, bytes, structures), are in the files
    but no fields.
    """
    title = f"{plain(info.title)} (synthetic)"
    digests = [digest for name, (digest, _) in files.items() if name.startswith("data/")]
    released = provenance.get("released")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": plain(info.name) or title,
        "alternateName": title,
        "description": f"{rows:,} synthetic rows with {len(schema.columns):,} columns, made in the image of "
        f"{plain(info.title)}.",
        "version": f"1.0.0+{digests[0][:12]}",
        **({"datePublished": released} if released else {}),
        "license": plain(info.licence),
        "citeAs": _citation(info, title, provenance),
        "keywords": ["synthetic", "tabular"],
        "isLiveDataset": False,
        "isBasedOn": _source(info, provenance),
        "distribution": [*_files(files), _parts()],
        "recordSet": [_records(schema)],
        **_responsible(info, schema, provenance),
    }


def _citation(info: CardInfo, title: str, provenance: Mapping[str, Any]) -> str:
    made = (provenance.get("versions") or {}).get("synth")
    by = f"Made with Synth {made}" if made else "Made with Synth"
    return f"{title}. {by}" + (f", from: {plain(info.citation)}" if info.citation else ".")


def _source(info: CardInfo, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What the rows were learnt from: named and identified, not part of the release."""
    files = (provenance.get("sources") or {}).items()
    return {
        "@type": "sc:CreativeWork",
        "name": plain(info.title),
        "license": plain(info.licence),
        **({"citation": plain(info.citation)} if info.citation else {}),
        **({"identifier": [f"{plain(name)} sha256:{digest}" for name, digest in files]} if files else {}),
    }


def _files(files: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, Any]]:
    for name, (digest, size) in files.items():
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{size} B",
            "encodingFormat": MEDIA_TYPES.get(Path(name).suffix, "text/plain"),
            "sha256": digest,
        }


def _parts() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": PARTS,
        "name": PARTS,
        "description": "All parts of the rows.",
        "encodingFormat": MEDIA_TYPES[".parquet"],
        "includes": "data/*.parquet",
    }


def _records(schema: Schema) -> dict[str, Any]:
    typed = [(name, _type(dtype)) for name, dtype in zip(schema.names, schema.arrow_schema.types, strict=True)]
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "description": "One record a synthetic row.",
        "field": [_field(schema, name, *found) for name, found in typed if name and found is not None],
    }


def _field(schema: Schema, name: str, dtype: str, repeated: bool) -> dict[str, Any]:
    column = schema[name]
    what = f"{column.kind} ({column.personal.what})" if column.personal else column.kind
    made = ", made up" if column.made_up else ""
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{quote(name, safe='')}",
        "name": plain(name),
        "description": f"{what}{made}{', target' if name == schema.target else ''}",
        "dataType": dtype,
        **({"repeated": True} if repeated else {}),
        "source": {"fileSet": {"@id": PARTS}, "extract": {"column": name}},
    }


def _type(dtype: pa.DataType) -> tuple[str, bool] | None:
    """Croissant's name of an Arrow type, and whether a record has a list of it; None where there is no name."""
    if pa.types.is_dictionary(dtype):
        return _type(dtype.value_type)
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype):
        inner = _type(dtype.value_type)
        return None if inner is None or inner[1] else (inner[0], True)
    return next(((name, False) for is_such, name in TYPES if is_such(dtype)), None)


def _responsible(info: CardInfo, schema: Schema, provenance: Mapping[str, Any]) -> dict[str, Any]:
    model = f" ({plain(str(provenance['model']))})" if provenance.get("model") else ""
    made = [plain(column.name) for column in schema.columns if column.made_up and not column.exposed]
    shown = [f"{plain(column.name)}: {column.exposed}" for column in schema.columns if column.exposed]
    rare = RARE.format(least=schema.least, values=sum(column.withheld for column in schema.columns))
    replaced = REPLACED.format(names=", ".join(made))
    whole = [f"Not private: {plain(provenance['exposed'])}."] if provenance.get("exposed") else []
    return {
        "rai:dataCollection": MADE.format(model=model, rows=schema.rows),
        "rai:dataCollectionType": ["Secondary Data Analysis", "Others"],
        "rai:dataCollectionMissingData": MISSING,
        "rai:dataCollectionRawData": f"{plain(info.title)}, under the licence {plain(info.licence)}; not part of this.",
        "rai:dataPreprocessingProtocol": [*([rare] if schema.least > 1 else []), *([replaced] if made else [])],
        "rai:dataBiases": [BIASES],
        "rai:dataUseCases": [USES],
        "rai:dataLimitations": [*LIMITS],
        "rai:dataSocialImpact": IMPACT,
        "rai:personalSensitiveInformation": [*whole, *([replaced] if made else []), *shown, SENSITIVE],
        "rai:dataReleaseMaintenancePlan": MAINTENANCE,
    }
