"""Formats of identifiers: what is learnt, what is generated, and the expression that both match."""

from __future__ import annotations

import re
import string

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.patterns import CLASSES, COVERAGE, Maker, Template, learn, permute, regex, running

ROWS = np.arange(4000)
FORMATS = {
    "leading zeros": [f"{i * 7919 % 100_000:05d}" for i in range(500)],
    "UUIDs": [f"{i * 2654435761 % 2**32:08x}-{i * 40503 % 2**16:04x}" for i in range(500)],
    "upper hexadecimals": [f"{i * 2654435761 % 2**32:08X}" for i in range(500)],
    "e-mails": [f"{'anna' if i % 2 else 'bob'}{i:04d}@example.org" for i in range(500)],
    "phone numbers": [f"+47 {i * 7919 % 10**8:08d}" for i in range(500)],
    "regex characters": [f"[{i:04d}](a|b)*.^$\\{i % 7}" for i in range(500)],
    "class letters as literals": [f"haxXH9-{i * 7919 % 10**5:05d}" for i in range(500)],
    "several widths": [f"n{i}" for i in range(1, 50_000, 101)],
}


@pytest.mark.parametrize("name", FORMATS)
def test_source_and_generated_match_the_expression(name):
    values = FORMATS[name]
    templates = learn(pa.array(values))
    expression = re.compile(regex(templates, unique=True))
    made = Maker(templates, 5, True).texts(ROWS).tolist()
    covered = sum(map(bool, map(expression.search, values)))
    assert covered == len(values) if name != "several widths" else covered >= COVERAGE * len(values)
    assert all(map(expression.search, made))
    assert len(set(made)) == len(ROWS)
    assert not expression.search("something else entirely")
    assert not [value for value in values if any(value == template.text for template in templates)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(alphabet=string.printable + "éß日\\", max_size=8), min_size=1, max_size=60, unique=True),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_any_texts_give_templates_whose_texts_match(values, key, unique):
    templates = learn(pa.array(values))
    assert abs(sum(template.share for template in templates) - 1) < 1e-9
    made = Maker(templates, key, unique).texts(ROWS[:200]).tolist()
    expression = regex(templates, unique)
    assert all(re.search(expression, text, re.DOTALL) for text in made)
    assert Maker(templates, key, unique).texts(ROWS[150:200]).tolist() == made[150:]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**40), st.integers(0, 2**40))
def test_the_permutation_is_a_bijection(size, key, start):
    assert sorted(permute(np.arange(start, start + size), size, key).tolist()) == list(range(size))


@settings(max_examples=100, deadline=None)
@given(st.integers(10**6, 2**40), st.integers(0, 2**40))
def test_a_large_permutation_stays_in_range_without_repetition(size, key):
    places = permute(np.arange(5000), size, key)
    assert len(set(places.tolist())) == 5000
    assert 0 <= places.min() <= places.max() < size


USED_UP = {
    "narrow beside wide": (Template("a999999", 0.6), Template("A9", 0.3), Template("-9", 0.1)),
    "narrow alone": (Template("9", 0.6), Template("a", 0.3), Template("-", 0.1)),
    "a text alone": (Template("-", 1.0),),
    "a prefix of another": (Template("99", 0.5), Template("99-9", 0.5)),
}


@pytest.mark.parametrize("name", USED_UP)
def test_a_used_up_format_stays_unique_and_in_its_expression(name):
    templates = USED_UP[name]
    made = Maker(templates, 7, True).texts(np.arange(20_000)).tolist()
    assert len(set(made)) == len(made)
    assert all(re.search(regex(templates, unique=True), text) for text in made)
    if name == "narrow beside wide":
        assert all(re.fullmatch("[a-z][0-9]{6}|[A-Z][0-9]|-[0-9]", text) for text in made)
    again = Maker(templates, 7, False).texts(np.arange(20_000)).tolist()
    assert all(re.search(regex(templates, unique=False), text) for text in again)


def test_free_text_becomes_letters_of_the_usual_length():
    values = ["x" * n + str(n) * (n % 3) + "!" * (n % 5) for n in range(1, 80)]
    (template,) = learn(pa.array(values))
    assert set(template.text) == {"a"}
    assert 12 <= len(template.text) <= 32


def test_a_value_that_all_rows_share_is_not_kept():
    (template,) = learn(pa.array(["secret1"] * 100))
    assert template.text == "aaaaaa9"


def test_running_numbers():
    counter = running(pa.array([f"ORD-{i:05d}/x" for i in range(100, 200)]))
    assert counter is not None
    assert counter.generate(np.array([0, 1])) == ["ORD-00200/x", "ORD-00201/x"]
    assert re.search(counter.regex, "ORD-00150/x")
    assert running(pa.array(["a1", "b2"])) is None
    assert running(pa.array(["7", "1000000"])) is None
    assert running(pa.array(["001", "02"])) is None


def test_a_template_names_its_choices():
    template = Template("\\a9h-\\\\", 1.0)
    assert template.parts == ["a", CLASSES["9"], CLASSES["h"], "-", "\\"]
    assert re.fullmatch(template.regex, "a5f-\\")
    assert not re.fullmatch(template.regex, "b5f-\\")
