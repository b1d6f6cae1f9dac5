"""The page is whole, asks nothing of the network, and shows hostile names as text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synth.evaluation.distributions import distributions
from synth.evaluation.lift import lift
from synth.evaluation.measurements import AREAS, METRICS, evaluate
from synth.evaluation.metric import Metric
from synth.evaluation.tables import Tables
from synth.report import _standing, figure, render
from synth.schema import Column, Schema, pack_arrow

HOSTILE = '<script>alert("x")</script>'
CLOSING = "</script><img src=https://example.org/a.png>"
TEMPLATE = "{{ 7 * 191 }}{% raw %}"


class Page(HTMLParser):
    """Elements with their attributes, and the text of every script element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        else:
            self.words.append(data)


@pytest.fixture(scope="module")
def parts():
    """Everything that a report is made of, of a table with hostile names, values and target."""

    def frame(seed):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=300)
        return pd.DataFrame(
            {
                HOSTILE: x,
                CLOSING: np.where(rng.random(300) < 0.5, "<b onmouseover=alert(1)>bold</b>", "&amp;"),
                TEMPLATE: np.where(x + rng.normal(size=300) > 0, "<!--", "-->"),
                "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, 300), unit="D"),
                "empty": pd.array([None] * 300, dtype="string"),
            }
        )

    kinds = dict(
        zip(
            [HOSTILE, CLOSING, TEMPLATE, "when", "empty"],
            ["number", "category", "category", "datetime", "empty"],
            strict=True,
        )
    )
    columns = tuple(Column(name=name, kind=kind, dtype="string") for name, kind in kinds.items())
    schema = Schema(columns=columns, rows=300, target=TEMPLATE, arrow=pack_arrow(pa.schema([])))
    data = Tables(frame(1), frame(2), frame(3), frame(4), schema)
    return {
        "title": f"Made up {HOSTILE}",
        "schema": schema,
        "metrics": evaluate(data, repeats=2),
        "distributions": distributions(data),
        "lift": lift(data, rows=[40], seeds=2),
        "speed": {
            "fit": {"wall_seconds": 12.5, "cpu_seconds": 20.0, "peak_memory_mb": 512.0, "rows_per_second": 26989.4},
            "epochs": 4,
        },
        "validation": {
            "success": False,
            "rows": 300,
            "expectations": [
                {
                    "expectation": "expect_a",
                    "column": HOSTILE,
                    "severity": "warning",
                    "success": True,
                    "observed": None,
                },
                {
                    "expectation": "expect_b",
                    "columns": [CLOSING, "when"],
                    "severity": "critical",
                    "success": False,
                    "observed": {"x": CLOSING},
                },
            ],
        },
        "verdict": {
            "passed": False,
            "reasons": [f"column {HOSTILE} is wrong"],
            "checks": [
                {"name": "quality.c2st_auc", "value": None, "bound": {"min": None, "max": 0.6}, "passed": False}
            ],
        },
        "curve": [
            {"epoch": 1, "train_loss": 3.0, "validation_loss": 3.5},
            {"epoch": 2, "train_loss": 2.0, "validation_loss": float("nan")},
        ],
        "provenance": {"source": {"name": CLOSING}, "seed": 0},
    }


@pytest.fixture(scope="module")
def page(parts):
    return render(**parts)


def test_no_request_leaves_the_page(page):
    for tag, attributes in Page(page).elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith("#"), (tag, name, value)
    assert {tag for tag, _ in Page(page).elements} & {"link", "iframe", "object", "img", "base", "form"} == set()
    style = page[page.index("<style>") : page.index("</style>")]
    assert not re.search(r"url\(|@import", style)
    assert "default-src 'none'" in page


def test_hostile_names_are_text(page):
    found = Page(page)
    assert len(found.scripts) == 3  # the chart library, the data, our own
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    text = " ".join(found.words)
    assert HOSTILE in text
    assert CLOSING in text
    assert TEMPLATE in text
    assert "1337" not in text


def test_chart_data_are_json_whose_texts_are_escaped_for_plotly(page):
    data = next(text for text in Page(page).scripts if text.startswith("{"))
    assert "<" not in data
    charts = json.loads(data)
    assert {"column-0", "pairs", "lift-roc_auc", "lift-balanced_accuracy", "curve"} <= set(charts)
    assert "&lt;b onmouseover" in json.dumps(charts)
    assert "<b" not in json.dumps(charts)
    assert charts["curve"]["data"][1]["y"] == [3.5, None]


def test_every_chart_has_its_place(page):
    found = Page(page)
    places = {attributes["id"] for _, attributes in found.elements if attributes.get("class") == "chart"}
    assert places == set(json.loads(next(text for text in found.scripts if text.startswith("{"))))


def test_size(page):
    assert len(page.encode()) < 6_000_000


def test_the_verdict_comes_first(page, parts):
    refused = "".join(Page(page).words)
    assert refused.index("Refused: not released") < refused.index("All figures")
    assert "column <script>" in refused
    passed = render(**{**parts, "verdict": {"passed": True, "reasons": [], "checks": []}})
    assert "Cleared for release" in passed
    assert "Refused" not in passed


def test_every_figure_and_what_is_left_out_is_shown(page):
    text = "".join(Page(page).words)
    for metrics in (metrics for area, metrics in METRICS.items() if area in {*AREAS, "attacks"}):
        for metric in metrics:
            assert metric.title in text
    assert "null alone among the training rows" in text
    assert "1 of 2 expectations are met" in text
    assert "12.5 s" in text
    assert "26,989" in text


def test_what_attacks_gain_is_said(page, parts):
    assert "surely above chance" in "".join(Page(page).words)
    proven = {**parts["metrics"]["attacks"]["linkability"], "value": 0.5, "low": 0.4, "high": 0.6}
    attacks = {**parts["metrics"]["attacks"], "linkability": proven}
    caught = "".join(Page(render(**{**parts, "metrics": {**parts["metrics"], "attacks": attacks}})).words)
    assert "above chance" in caught
    assert "0.400 to 0.600" in caught


def test_parts_that_are_missing_are_left_out(parts):
    nothing = dict.fromkeys(("distributions", "lift", "speed", "validation", "verdict", "curve", "provenance"))
    bare = render(**{**parts, **nothing})
    assert "No gate was asked" in bare
    for name in ("columns", "pairs-part", "lift", "validation", "training"):
        assert f'id="{name}"' not in bare


def test_a_lift_that_is_undefined_is_said(parts):
    reason = "No lift was measured: the schema has no target column."
    told = render(**{**parts, "lift": {"undefined": "x", "found": False, "conclusion": reason}})
    assert reason in told
    assert "lift-roc_auc" not in told


def test_undefined_figures_are_dashes_with_a_reason(parts):
    frame = pd.DataFrame({"id": ["a", "b"]})
    schema = Schema(
        columns=(Column(name="id", kind="identifier", dtype="string"),), rows=2, arrow=pack_arrow(pa.schema([]))
    )
    data = Tables(frame, frame, frame, frame, schema)
    text = render(title="t", schema=schema, metrics=evaluate(data, repeats=2), distributions=distributions(data))
    assert "Undefined: no column has two different values" in text
    assert "nan" not in "".join(Page(text).words).lower().split()


@pytest.mark.parametrize(
    ("better", "target", "value", "expected"),
    [
        ("lower", None, 0.09, "as real"),
        ("lower", None, 0.2, "near real"),
        ("lower", None, 0.6, "far from real"),
        ("target", 0.1, 0.05, "near real"),
        ("target", None, 0.9, "far from real"),
    ],
)
def test_standing_beside_real_rows(better, target, value, expected):
    metric = Metric("m", better, "", "", "", target=target)
    entry = {"value": value, "low": value, "high": value, "floor": 0.1, "independent": 0.9, "copy": None}
    assert _standing(metric, entry, "independent")[1] == expected


def test_an_interval_that_reaches_the_floor_is_as_real():
    entry = {"value": 0.2, "low": 0.05, "high": 0.35, "floor": 0.1, "independent": 0.9, "copy": None}
    assert _standing(Metric("m", "lower", "", "", ""), entry, "independent") == ("good", "as real")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.01234, "0.0123"), (0.5, "0.500"), (19537, "19,537"), (1234.56, "1,234.6"), ("<", "<")],
)
def test_figures_are_read_by_people(value, text):
    assert figure(value) == text
