"""People of the source never come out: what is found, what stands in its place, and that it agrees within a row."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from faker import Faker
from round_trips import round_trip

from synth import Synthesizer
from synth.codecs.table import TableCodec
from synth.detection import detect
from synth.errors import ConfigError, InputError
from synth.frames import from_pandas
from synth.personal import find, hint
from synth.schema import Personal

TINY = {"epochs": 1, "width": 4}
NAMES = {
    "de_DE": ("vorname", "nachname", "name", "e-mail", "telefonnummer", "anschrift"),
    "en_US": ("first_name", "LastName", "full name", "email", "Phone", "address"),
    "fr_FR": ("prénom", "nom de famille", "nom", "courriel", "téléphone", "adresse"),
    "ja_JP": ("first name", "family_name", "name", "mail", "tel", "address"),
}


def customers(locale: str, rows: int = 400) -> pd.DataFrame:
    """Made people of a locale, a third of them without a phone."""
    fake = Faker(locale)
    fake.seed_instance(7)
    joint = "" if locale == "ja_JP" else " "
    people = [(fake.first_name(), fake.last_name()) for _ in range(rows)]
    columns = (
        [first for first, _ in people],
        [last for _, last in people],
        [last + first if locale == "ja_JP" else first + joint + last for first, last in people],
        [f"{fake.user_name()}{i}@{fake.domain_name()}" for i in range(rows)],
        [None if i % 3 == 0 else fake.phone_number() for i in range(rows)],
        [fake.address() for _ in range(rows)],
    )
    return pd.DataFrame(dict(zip(NAMES[locale], columns, strict=True)))


@pytest.mark.parametrize("locale", NAMES)
def test_people_are_found_and_none_of_them_comes_out(locale):
    frame = customers(locale)
    trip = round_trip(frame, rows=3000)
    whats = ["first_name", "last_name", "name", "email", "phone", "address"]
    assert [column.personal.what for column in trip.schema.columns] == whats
    assert {column.personal.locale for column in trip.schema.columns} == {locale}
    state = str(trip.codec.state()) + trip.schema.model_dump_json()
    for name in frame:
        real = set(frame[name].dropna())
        assert not real & set(trip.frame[name])
        assert not [value for value in real if len(value) > 3 and value in state]
    assert trip.schema[NAMES[locale][3]].unique
    assert trip.frame[NAMES[locale][3]].is_unique


def test_columns_of_one_person_agree():
    made = round_trip(customers("en_US"), rows=2000).frame
    first, last = made["first_name"], made["LastName"]
    assert (made["full name"] == first + " " + last).all()
    local = made["email"].str.split("@").str[0].str.replace(r"\d+$", "", regex=True)
    slug = (first + "." + last).str.lower().str.replace(r"[^a-z.]", "", regex=True)
    assert (local.str[0] == first.str[0].str.lower()).all()
    assert (local == slug).mean() > 0.9  # the others have a syllable more, since another name has the same letters
    assert made["email"].str.fullmatch(r"[^@]+@example\.(com|net|org)").all()


def test_who_comes_again_is_the_same_person_again_and_as_often():
    people = customers("de_DE", 300)
    rng = np.random.default_rng(0)
    visits = np.minimum(rng.zipf(1.5, 3000) - 1, 299)
    frame = people.iloc[visits].reset_index(drop=True).assign(amount=rng.normal(size=3000))
    made = round_trip(frame, rows=3000).frame
    mail = NAMES["de_DE"][3]
    assert abs(made[mail].nunique() - frame[mail].nunique()) <= 2
    assert made.groupby(mail)["name"].nunique().max() == 1
    assert made.groupby(mail)["anschrift"].nunique().max() == 1
    often, real = made[mail].value_counts().to_numpy(), frame[mail].value_counts().to_numpy()
    assert abs(often[0] / real[0] - 1) < 0.5
    assert abs(np.median(often) - np.median(real)) <= 2


def test_two_people_in_a_row_are_two_entities():
    a, b = customers("en_US"), customers("en_US", 800).iloc[400:].reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "buyer_name": a["full name"],
            "buyer_mail": a["email"],
            "seller_name": b["full name"],
            "seller_mail": b["email"],
        }
    )
    trip = round_trip(frame)
    assert [column.personal.entity for column in trip.schema.columns] == ["buyer", "buyer", "seller", "seller"]
    assert (trip.frame["buyer_name"] != trip.frame["seller_name"]).mean() > 0.9


CODED = {
    "iban": ("iban", lambda i: f"DE{i * 7919 % 90 + 10}{i * 104729 % 10**9:09d}{i * 611953 % 10**9:09d}", r"DE\d{20}"),
    "ssn": ("national_id", lambda i: f"{i % 900:03d}-{i * 7 % 100:02d}-{i * 7919 % 10000:04d}", r"\d{3}-\d\d-\d{4}"),
    "card_number": ("credit_card", lambda i: 4 * 10**15 + i * 7919 * 104729 % 10**15, r"4\d{15}"),
    "phone": ("phone", lambda i: f"+47 {i * 7919 % 10**8:08d}", r"\+47 \d{8}"),
    "ip": ("ip", lambda i: f"{i % 223 + 1}.{i * 7 % 256}.{i * 11 % 256}.{i * 13 % 256}", r"10\.\d+\.\d+\.\d+"),
    "user_name": ("user_name", lambda i: f"pat{i}", r"[a-z]+\.[a-z]+\d*"),
    "website": ("url", lambda i: f"https://www.shop{i}.org/x", r"https://[a-z]+-[a-z]+\d*\.example\.(com|net|org)"),
}


@pytest.mark.parametrize("name", CODED)
def test_coded_data_keeps_its_format_and_type(name):
    what, make, form = CODED[name]
    frame = pd.DataFrame({name: [make(i) for i in range(300)]})
    trip = round_trip(frame, rows=5000)
    assert trip.schema[name].personal.what == what
    made = trip.frame[name]
    assert made.astype(str).str.fullmatch(form).all()
    assert made.nunique() > 4900
    assert not set(frame[name]) & set(made)


PLAIN = {
    "sex": ["Male", "Female"] * 100,
    "native-country": ["United-States", "Mexico", "Trinadad&Tobago"] * 60,
    "workclass": ["Private", "Self-emp-not-inc", "State-gov"] * 60,
    "product_name": [f"Widget {i % 40} deluxe" for i in range(200)],
    "Street": ["Pave", "Grvl"] * 100,
    "address_type": ["home", "work"] * 100,
    "city": ["San Diego", "New York", "Los Angeles", "Saint Paul"] * 50,
    "phone": ["yes", "no"] * 100,
    "login_count": list(range(200)),
    "zip": ["0311", "0047"] * 100,
    "file_name": [f"a{i}.txt" for i in range(200)],
    "version": ["1.2.3.4", "1.2.3.5"] * 100,
    "name": ["Ford Fiesta", "Opel Corsa", "Fiat Panda"] * 60,
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_column_of_categories_is_never_taken_for_people(name):
    assert find(name, pa.array(PLAIN[name])) is None
    assert detect(pa.table({name: PLAIN[name]}))[name].kind != "personal"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("CustomerEmail", "email"), ("E-Mail-Adresse", "email"), ("Straße", "street"), ("Código Postal", "postcode"),
        ("user_name", "user_name"), ("phone_2", "phone"), ("Telefon privat", "phone"), ("capital-gain", None),
        ("mobile_os", None), ("numéro de téléphone", "phone"), ("Apellidos", "last_name"),
    ],
)  # fmt: skip
def test_names_of_columns(name, what):
    assert hint(name) == what


def test_repeated_emails_and_names_without_a_word_are_found():
    mails = [f"user{i % 30}@mail.org" for i in range(600)]
    assert find("x", pa.array(mails)) == "email"
    names = customers("de_DE", 60)["name"]
    assert find("who", pa.array(list(names) * 5)) == "name"


def test_what_is_declared_holds():
    frame = pd.DataFrame({"a": ["Oslo", "Rome"] * 50, "who": ["x1", "x2"] * 50, "mail": ["a@b.org", "c@d.org"] * 50})
    declared = {
        "a": "city",
        "who": Personal(what="name", locale="fr_FR", entity="me"),
        "mail": Personal(what="email", entity="me", domain="our.test"),
    }
    trip = round_trip(frame, personal=declared)
    assert trip.schema["who"].personal.locale == "fr_FR"
    assert trip.frame["mail"].str.endswith("@our.test").all()
    assert not {"Oslo", "Rome", "x1", "a@b.org"} & set(trip.frame.to_numpy().ravel())
    assert round_trip(frame, kinds={"mail": "category"}).schema["mail"].kind == "category"
    assert round_trip(frame, kinds={"who": "personal"}).schema["who"].personal.what == "other"


@pytest.mark.parametrize(
    ("personal", "error", "message"),
    [
        ({"x": "shoe size"}, ConfigError, "personal: 'x': 'shoe size' is unknown; there are: name, first_name"),
        ({"x": Personal(what="name", locale="xx_XX")}, ConfigError, "locale 'xx_XX' is unknown to Faker"),
        ({"y": "name"}, ConfigError, "'y' is not a column; there are: x, z"),
        ({"z": "name"}, InputError, "column 'z': its double values cannot be of kind 'personal'"),
    ],
)
def test_wrong_declarations_are_refused_by_name(personal, error, message):
    with pytest.raises(error, match=message):
        detect(pa.table({"x": ["a", "b"], "z": [0.5, 1.5]}), personal=personal)


def test_only_people_and_keys_make_a_table(tmp_path):
    frame = customers("en_US", 200).drop(columns="Phone").assign(id=np.arange(200) + 10)
    fitted = Synthesizer(**TINY).fit(frame)
    assert fitted.codec_.layout.columns == ()
    made = fitted.sample(9000)
    assert made["id"].is_unique
    assert made["email"].is_unique
    fitted.save(tmp_path / "m")
    pd.testing.assert_frame_equal(Synthesizer.load(tmp_path / "m").sample(9000), made)
    content = b"".join(file.read_bytes() for file in (tmp_path / "m").iterdir()).decode(errors="replace")
    for name in frame.columns.drop("id"):
        assert not set(frame[name]) & set(made[name])
        assert not [value for value in frame[name] if value in content]


def test_a_format_without_room_is_named(caplog):
    codes = [f"{i:02d}" for i in range(100)] * 3
    schema = detect(pa.table({"pin": codes}), personal={"pin": "other"})
    assert schema["pin"].exposed
    assert "column 'pin': its format has no text left that is not in the source" in caplog.text


def test_it_is_quick_and_a_part_is_that_of_the_whole():
    table = from_pandas(customers("en_US", 1000))
    codec = TableCodec.fit(table, detect(table), 0)
    tokens = np.zeros((60_000, 1), dtype=np.int64)
    start = time.process_time()
    whole = codec.decode({"tokens": tokens}, rows=range(60_000), rng=np.random.default_rng(0))
    assert time.process_time() - start < 60_000 / 10_000  # measured 60,000 rows a second, of six columns
    part = codec.decode({"tokens": tokens[:500]}, rows=range(41_000, 41_500), rng=np.random.default_rng(0))
    assert part.equals(whole.slice(41_000, 500))
