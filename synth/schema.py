"""What a dataset is: its columns, their kinds, types, nulls, bounds and keys, as one JSON.

The codec, the validation suite and the dataset card all read this one description.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from synth.constraints import Rule
from synth.errors import FormatError
from synth.storage import read_text, write_text

FORMAT_VERSION = 1
RARE_VALUES = 5  # rows that a value needs to be reproduced

Kind = Literal["number", "category", "boolean", "datetime", "identifier", "personal", "image", "text", "empty"]
Modality = Literal["table", "image", "text", "series"]
Scalar = bool | int | float | str


class Personal(BaseModel):
    """Personal data that a column holds, and what stands in its place.

    what: name, email, phone and so on, see `synth.codecs.fakes.WHATS`
    locale: of the values that are made, for example ``de_DE``
    entity: columns of one entity are of the same person in each row; the column's own where it is None
    domain: of e-mails and URLs; example.com, example.net and example.org, which nobody can own, where it is None
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str
    locale: str | None = None
    entity: str | None = None
    domain: str | None = None


class Domain(BaseModel):
    """What a column may hold, as its owner knows without looking at the rows. Either `values`, or both ends.

    values: every value of a category
    min, max: ends of numbers and of moments (ISO text; of dates that are text, in their format)
    apart: numbers that are values of their own beside the bins, 0 of amounts for example
    decimals: digits after the point of floats; None where they have no common number
    nulls: whether a value may be missing
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: tuple[Scalar, ...] | None = None
    min: int | float | str | None = None
    max: int | float | str | None = None
    apart: tuple[int | float, ...] = ()
    decimals: int | None = Field(None, ge=0, le=16)
    nulls: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> Domain:
        ends = (self.min is not None) + (self.max is not None)
        if (self.values is not None) == (ends == 2) or ends == 1:
            raise ValueError("give values, or both min and max")
        if self.values is not None and (not self.values or len(set(self.values)) < len(self.values)):
            raise ValueError("values: at least one, and none twice")
        return self


class Column(BaseModel):
    """One column of the training data.

    name: the field's name in Arrow and Parquet
    kind: how it is learnt, see `Kind`; `synth/codecs/columns/<kind>.py` is its codec
    dtype: the Arrow type, in Arrow's own words, for example ``timestamp[us, tz=UTC]``
    null_rate: share of nulls among the training rows, 0 to 1; exactly 0 means never null
    minimum, maximum: of numbers and of dates (ISO text; exact decimals and integers above 2^53 as text)
    decimals: digits after the point that every value keeps; None where floats have no common number
    format: strptime format of dates that the source holds as text
    categories: every value of a category, ordered where `ordered`; nested values as canonical JSON text
    unique: no value twice (a key)
    pattern: regular expression of the formats that nine in ten identifiers have, and all generated ones
    personal: what personal data it is, where it is
    exposed: why values of the source may come out although they should not, where that is so
    least: training rows that a value needs to be reproduced, see `least_rows`; 1 where the source declares the values
    withheld, withheld_rows: how many different values are not reproduced, and how many training rows have one
    domain: what the owner declares that it may hold, where that is so; bounds and categories are then its
    mode, width, height: of pictures, "L" (grey) or "RGB", and pixels
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    dtype: str
    null_rate: float = 0.0
    minimum: Scalar | None = None
    maximum: Scalar | None = None
    decimals: int | None = None
    format: str | None = None
    categories: tuple[Scalar, ...] | None = None
    ordered: bool = False
    unique: bool = False
    pattern: str | None = None
    personal: Personal | None = None
    exposed: str | None = None
    least: int = 1
    withheld: int = 0
    withheld_rows: int = 0
    domain: Domain | None = None
    mode: Literal["L", "RGB"] | None = None
    width: int | None = None
    height: int | None = None

    @property
    def nullable(self) -> bool:
        """Whether a training row had a null here."""
        return self.null_rate > 0

    @property
    def made_up(self) -> bool:
        """Whether its values are not learnt but made anew."""
        return self.kind in ("identifier", "personal")


class Schema(BaseModel):
    """A dataset: its columns in order, target and key, and the exact Arrow schema to restore.

    arrow: the Arrow schema with its pandas metadata, serialised to IPC and base64; holds no value of the data
    rows: training rows that the schema was read from
    rules: what the user says that every row keeps, see `synth.constraints`
    rare_values: training rows that a value needs to be reproduced, as the user asks; 0 and 1 withhold nothing
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    modality: Modality = "table"
    columns: tuple[Column, ...]
    target: str | None = None
    primary_key: str | None = None
    rows: int
    arrow: str
    rules: tuple[Rule, ...] = ()
    rare_values: int = 0

    @property
    def least(self) -> int:
        """Training rows that a value needs to be reproduced, see `least_rows`."""
        return least_rows(self.rare_values, self.rows)

    @property
    def names(self) -> list[str]:
        """Column names in the source's order."""
        return [column.name for column in self.columns]

    @property
    def arrow_schema(self) -> pa.Schema:
        """The source's Arrow schema, dtypes, nullability and metadata included."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow)))

    def __getitem__(self, name: str) -> Column:
        """The column called `name`; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def only(self, names: Collection[str]) -> Schema:
        """The schema of some of the columns, as a table's, without rules."""
        columns = tuple(column for column in self.columns if column.name in names)
        arrow = self.arrow_schema
        rest = pa.schema([arrow.field(column.name) for column in columns], metadata=arrow.metadata)
        return self.model_copy(update={"modality": "table", "columns": columns, "arrow": pack_arrow(rest), "rules": ()})

    def save(self, path: str | Path) -> None:
        """Write as indented JSON, atomically."""
        write_text(path, self.model_dump_json(indent=2, exclude_defaults=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Schema:
        """Read what `save` wrote; FormatError names the file where that is not possible."""
        return cls.parse(read_text(path), str(path))

    @classmethod
    def parse(cls, text: str, origin: str) -> Schema:
        """Read the JSON text of a schema that comes from `origin` (named in errors)."""
        try:
            schema = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise FormatError(f"{origin}: not a schema: {where}: {first['msg']}") from None
        if schema.format_version != FORMAT_VERSION:
            raise FormatError(
                f"{origin}: schema format {schema.format_version} is unknown; this version reads {FORMAT_VERSION}"
            )
        return schema


def least_rows(rare_values: int, rows: int) -> int:
    """`rare_values`, and in small tables one row in a hundred: a threshold of 5 takes from a column of 50 rows its
    shape, not its outliers."""
    return max(1, min(rare_values, rows // 100))


def pack_arrow(schema: pa.Schema) -> str:
    """Serialise an Arrow schema to base64 text, the form that `Schema.arrow` holds."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")
