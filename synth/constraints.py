"""Rules that a user declares on a table: what each says, as plain data.

`synth/codecs/rules/` keeps and checks them; `synth/rules.py` is another thing, it looks for unwritten ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from synth.errors import ConfigError, problem_of

Number = int | float
Bound = int | float | str  # numbers, dates as ISO text


class _Rule(BaseModel):
    """Base of all rules: `title` is how messages, the suite and the card call one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the rule speaks of."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """The rule in one short line."""
        raise NotImplementedError


class _Several(_Rule):
    columns: tuple[str, ...] = Field(min_length=2)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the rule speaks of."""
        return self.columns

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        return _no_column_twice(columns)


class Inequality(_Several):
    """Each of `columns` (numbers, or moments) is at most the next, below it where `strict`; nulls are left out."""

    kind: Literal["inequality"] = "inequality"
    strict: bool = False

    @property
    def title(self) -> str:
        """As ``a < b < c``."""
        return (" < " if self.strict else " <= ").join(self.columns)


class Combination(_Several):
    """The values of `columns` stand together only as they do in some training row.

    known: the combinations that there are, as JSON text; detection fills them in
    """

    kind: Literal["combination"] = "combination"
    known: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """As ``combinations of (city, country)``."""
        return f"combinations of ({', '.join(self.columns)})"


class OneHot(_Several):
    """Exactly one of `columns` (booleans, or numbers 0 and 1) is 1; with `none`, one at most."""

    kind: Literal["one_hot"] = "one_hot"
    none: bool = False

    @property
    def title(self) -> str:
        """As ``exactly one of (x, y)``."""
        return f"{'at most' if self.none else 'exactly'} one of ({', '.join(self.columns)})"


class Sum(_Rule):
    """`total` is the sum of `parts`, rounded to its own decimals; where a part is null nothing is asked."""

    kind: Literal["sum"] = "sum"
    total: str
    parts: tuple[str, ...] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The total, then the parts."""
        return (self.total, *self.parts)

    @property
    def title(self) -> str:
        """As ``total = a + b``."""
        return f"{self.total} = {' + '.join(self.parts)}"

    @field_validator("parts")
    @classmethod
    def _different(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        return _no_column_twice(parts)


class Ratio(_Rule):
    """`ratio` is factor * numerator / denominator, rounded to its own decimals; null where the denominator is 0."""

    kind: Literal["ratio"] = "ratio"
    ratio: str
    numerator: str
    denominator: str
    factor: Number = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The ratio, its numerator and its denominator."""
        return self.ratio, self.numerator, self.denominator

    @property
    def title(self) -> str:
        """As ``r = a / b``."""
        times = "" if self.factor == 1 else f"{self.factor:g} * "
        return f"{self.ratio} = {times}{self.numerator} / {self.denominator}"


class Unique(_Rule):
    """No two rows have the same values in `columns`: a unique column, or a composite key."""

    kind: Literal["unique"] = "unique"
    columns: tuple[str, ...] = Field(min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """The key's columns."""
        return self.columns

    @property
    def title(self) -> str:
        """As ``unique (a, b)``."""
        return f"unique ({', '.join(self.columns)})"

    @field_validator("columns")
    @classmethod
    def _different(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        return _no_column_twice(columns)


class Regex(_Rule):
    """The texts of `column` match `pattern` as a whole, and new ones are made from it; none twice where `unique`."""

    kind: Literal["regex"] = "regex"
    column: str
    pattern: str
    unique: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def title(self) -> str:
        """As ``code matches [A-Z]{2}``."""
        return f"{self.column} matches {self.pattern}"


class Bounds(_Rule):
    """`column` (numbers or moments) lies between `minimum` and `maximum`, strictly where `strict`."""

    kind: Literal["bounds"] = "bounds"
    column: str
    minimum: Bound | None = None
    maximum: Bound | None = None
    strict: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def title(self) -> str:
        """As ``0 < price <= 9``."""
        sign = " < " if self.strict else " <= "
        left = "" if self.minimum is None else f"{self.minimum}{sign}"
        return f"{left}{self.column}" + ("" if self.maximum is None else f"{sign}{self.maximum}")

    @model_validator(mode="after")
    def _bounds_something(self) -> Bounds:
        if self.minimum is None and self.maximum is None:
            raise ValueError("give minimum, maximum or both")
        return self


class Increment(_Rule):
    """`column` (numbers) is a whole multiple of `step`, counted from `origin`."""

    kind: Literal["increment"] = "increment"
    column: str
    step: Number = Field(gt=0)
    origin: Number = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def title(self) -> str:
        """As ``price in steps of 0.05``."""
        return f"{self.column} in steps of {self.step:g}" + (f" from {self.origin:g}" if self.origin else "")


Rule = Annotated[
    Inequality | Combination | OneHot | Sum | Ratio | Unique | Regex | Bounds | Increment,
    Field(discriminator="kind"),
]
_RULES = TypeAdapter(tuple[Rule, ...])


def parse_rules(content: Sequence[Rule | Mapping[str, Any]], origin: str = "rules") -> tuple[Rule, ...]:
    """Rules from plain values; ConfigError names `origin`, the rule's number and what is wrong with it."""
    if isinstance(content, str | Mapping) or not isinstance(content, Sequence):
        raise ConfigError(f"{origin}: expected a list of rules, found {type(content).__name__}")
    try:
        return _RULES.validate_python([rule.model_dump() if isinstance(rule, _Rule) else rule for rule in content])
    except ValidationError as error:
        problem = error.errors()[0]
        place, *inner = problem["loc"] or ("?",)
        key = ".".join(map(str, inner[1:]))
        message = problem_of(problem)
        if problem["type"] == "extra_forbidden":
            message, key = f"unknown key {key!r}", ""
        number = int(place) + 1 if isinstance(place, int) else place
        raise ConfigError(f"{origin}: rule {number}: {f'{key}: ' if key else ''}{message}") from None


def _no_column_twice(columns: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise ValueError(f"column {twice[0]!r} stands twice")
    return columns
