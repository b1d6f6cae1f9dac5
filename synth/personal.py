"""Finding personal data: by what a column is called, in several languages, and by what its values look like.

Conservative: a name alone is not enough, the values must look the part; a column of categories, such as a sex or a
country, never does. What is found is said, and a user can declare it otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synth.codecs import fakes
from synth.codecs.columns import flat
from synth.codecs.columns.personal import LOCALE, as_text
from synth.codecs.text import is_text, value_type
from synth.errors import ConfigError
from synth.schema import Personal

MOSTLY, NEARLY = 0.8, 0.9  # share of values that must look so
KNOWN = 0.5  # share of words that must be names, where the column's name does not say so
FEW = 20  # different values that keys, phones and cards have at least
SHOWN = 1000  # values that are looked at
UNIQUE = ("email", "user_name", "url", *fakes.CODED)  # where a value is of one person only
ALONE = ("ip", "url", "company", "other")  # of no person, as far as is known
WHOLE = ("phone", "national_id", "credit_card")  # also held as integers

# What a column's name says, as whole words of it. Letters without accents.
HINTS = {
    "email": "e_?mails?|e_?mail_?address|e_?mail_?adresse|correo|courriel|epost|mail",
    "phone": "phone|telephone|tel|telefon|telefono|telefone|telefoon|telefonnummer|telefonnr|mobile|mobil|cell|handy"
    "|fax|phone_?(no|number|num)|mobile_?(no|number)|numero_de_telephone|puhelin|telefonszam",
    "first_name": "first_?name|fname|given_?name|forename|vorname|rufname|prenom|primer_nombre|fornavn|fornamn|voornaam"
    "|imie|etunimi|keresztnev|primo_nome",
    "last_name": "last_?name|lname|surname|family_?name|nachname|familienname|geburtsname|maiden_?name|nom_de_famille"
    "|apellidos?|cognome|sobrenome|etternavn|efternavn|efternamn|achternaam|nazwisko|sukunimi|prijmeni",
    "user_name": "user_?name|user_?id|login|screen_?name|nick|nick_?name|handle|benutzername|nutzername|usuario"
    "|nom_d_?utilisateur|gebruikersnaam",
    "name": "full_?name|display_?name|nombre_completo|nome_completo|nom_complet|navn|namn|naam|name|nombre|nome|nom"
    "|namen|imie_i_nazwisko",
    "address": "address|adresse|anschrift|direccion|indirizzo|endereco|adres|adress|domicilio|postal_?address",
    "street": "street|street_?address|strasse|rue|calle|gade|gata|ulica|straat",
    "postcode": "zip|zip_?code|post_?code|postal_?code|plz|postleitzahl|code_?postal|codigo_?postal|cap|cep|postnr"
    "|postnummer|pin_?code",
    "national_id": "ssn|social_?security_?(no|number)?|nino|national_?(id|insurance)_?(no|number)?|"
    "passport_?(no|number)?|tax_?(id|no|number)|steuer_?(id|nummer)|personnummer|fodselsnummer|cpr|cpf|dni|nif|curp|codice_?fiscale|pesel|bsn"
    "|aadhaar|nhs_?(no|number)|insee|sozialversicherungsnummer|ausweisnummer|drivers?_?licen[cs]e_?(no|number)?",
    "iban": "iban",
    "credit_card": "(credit_?)?card_?(no|number|num)|credit_?card|cc_?(no|number|num)|kreditkarte|kreditkartennummer"
    "|kartennummer|numero_de_carte",
    "ip": "ip|ip_?address|ip_?adresse",
    "url": "url|website|web_?site|homepage|webseite|web",
}
AFTER = "(?:_?[0-9]+|_home|_work|_private|_privat|_business)?"
PERSONS = "full|display|customer|client|patient|employee|member|contact|kunden|mitarbeiter|patienten|nom|nombre|nome"
# What the values look like: RE2, of the whole text.
LOOKS = {
    "email": r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    "phone": r"[+(]?[0-9][0-9 ().\-/]{4,20}[0-9]( ?(x|ext\.?) ?[0-9]+)?",
    "first_name": r"\pL[\pL\pM .'’-]*",
    "last_name": r"\pL[\pL\pM .'’-]*",
    "name": r"\pL[\pL\pM .,'’-]*",
    "user_name": r"[^\s@]{2,40}",
    "address": r"(?s).*([0-9].*\pL|\pL.*[0-9]).*",
    "street": r".*\pL{3}.*",
    "postcode": r"[A-Za-z0-9][A-Za-z0-9 -]{2,9}",
    "national_id": r"[A-Za-z0-9./ -]*[0-9][A-Za-z0-9./ -]*",
    "iban": r"[A-Z]{2}[0-9]{2}( ?[A-Z0-9]){11,30}",
    "credit_card": r"[0-9]([ -]?[0-9]){12,18}",
    "ip": r"([0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*",
    "url": r"(https?://|www\.)\S+",
}
BY_LOOKS = ("email", "iban", "ip")  # told by their values alone
TWO_NAMES = r"\p{Lu}[\pL'’.-]+( \p{Lu}[\pL'’.-]*){1,3}"
LOCALES = {  # of the words by which a column is called
    "de_DE": "vorname nachname familienname geburtsname anschrift strasse telefonnummer plz postleitzahl handy",
    "fr_FR": "prenom nom courriel rue",
    "es_ES": "nombre apellido apellidos correo direccion calle telefono",
    "it_IT": "nome cognome indirizzo codice cap",
    "pt_PT": "sobrenome endereco telefone",
    "nl_NL": "voornaam achternaam naam straat telefoon",
    "no_NO": "fornavn etternavn navn gate",
    "sv_SE": "fornamn efternamn namn gata",
    "da_DK": "efternavn gade",
    "pl_PL": "imie nazwisko ulica adres",
    "fi_FI": "etunimi sukunimi puhelin",
    "cs_CZ": "prijmeni",
    "hu_HU": "keresztnev telefonszam",
}
CANDIDATES = (
    LOCALE,
    *LOCALES,
    "en_IN",
    "pt_BR",
    "tr_TR",
    "ru_RU",
    "uk_UA",
    "el_GR",
    "ja_JP",
    "zh_CN",
    "ko_KR",
    "ar_AA",
    "he_IL",
)


def find(name: str, values: pa.Array) -> str | None:
    """What personal data the non-null values of a column are; None where they are none that can be told."""
    if not (is_text(values.type) or pa.types.is_integer(values.type)) or not len(values):
        return None
    hinted = hint(name)
    if pa.types.is_integer(values.type) and hinted not in WHOLE:
        return None
    texts = _shown(values)
    if pa.types.is_integer(values.type):
        return hinted if _looks(texts, hinted) >= NEARLY and _many(values) else None
    for what in BY_LOOKS:
        if _looks(texts, what) >= (MOSTLY if hinted != what else 0.5):
            return what if what != "ip" or _many(values) or hinted == "ip" else None
    if hinted is None or _looks(texts, hinted) < NEARLY:
        return "name" if _many(values) and _looks(texts, None) >= NEARLY and vote(texts)[1] >= KNOWN else None
    return hinted if _holds(hinted, name, values, texts) else None


def is_postcode(name: str, chunks: pa.ChunkedArray) -> bool:
    """Whether a text column holds postcodes, which beside an address are part of it."""
    if hint(name) != "postcode" or chunks.null_count == len(chunks) or not is_text(value_type(chunks.type)):
        return False
    return _looks(_shown(pc.drop_null(flat(chunks))), "postcode") >= NEARLY


def _holds(what: str, name: str, values: pa.Array, texts: pa.Array) -> bool:
    """Whether values that look like it are more than categories."""
    if what == "name":
        whose = re.match(rf"(?:.*_)?(?:{PERSONS})_", normal(name)) and _looks(texts, None) >= MOSTLY
        return vote(texts)[1] >= KNOWN or (bool(whose) and _many(values))
    if what == "url":
        return int(pc.count_distinct(values).as_py()) > NEARLY * len(values)
    if what == "postcode":
        return False  # where there is no address it is a region, which a model may learn
    return what in ("first_name", "last_name", "address") or _many(values)


def hint(name: str) -> str | None:
    """What the last words of a column's name say."""
    words = normal(name)
    return next((what for what, hints in HINTS.items() if re.fullmatch(rf"(?:.*_)?(?:{hints}){AFTER}", words)), None)


def normal(name: str) -> str:
    """A column's name in small letters without accents, its words joined by "_"."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.translate(fakes.PLAIN))
    folded = unicodedata.normalize("NFKD", split.lower())
    return re.sub(r"[^a-z0-9]+", "_", "".join(c for c in folded if not unicodedata.combining(c))).strip("_")


def described(found: Mapping[str, Personal], columns: Mapping[str, pa.Array]) -> dict[str, Personal]:
    """The same with locale and entity, where they were not declared.

    columns: non-null values of the columns in `found`
    ConfigError for data that nobody makes, or a locale that Faker does not know.
    """
    whats = Counter(personal.what for personal in found.values())
    for name, personal in found.items():
        if personal.what not in fakes.WHATS:
            raise ConfigError(f"personal: {name!r}: {personal.what!r} is unknown; there are: {', '.join(fakes.WHATS)}")
    one = all(count == 1 for what, count in whats.items() if what not in ALONE)
    locale = _locale(found, columns)
    complete = {}
    for name, personal in found.items():
        alone = personal.what in ALONE
        entity = personal.entity or (None if alone else "person" if one else _prefix(name))
        complete[name] = personal.model_copy(update={"entity": entity, "locale": personal.locale or locale})
        if personal.what not in (*fakes.CODED, "ip"):
            fakes.words("first_name", complete[name].locale or locale)
    return complete


def _prefix(name: str) -> str:
    """Of whom a column tells: its name without what it says of them."""
    words = normal(name)
    for hints in HINTS.values():
        rest = re.sub(rf"(?:^|_)(?:{hints}){AFTER}$", "", words)
        if rest != words:
            return rest or "person"
    return words or "person"


def _locale(found: Mapping[str, Personal], columns: Mapping[str, pa.Array]) -> str:
    """The locale whose names the table's people have; what its columns are called in, where that does not tell."""
    names = [name for name, personal in found.items() if personal.what in ("name", "first_name", "last_name")]
    if names:
        texts = pa.concat_arrays([_shown(columns[name]).cast(pa.large_string()) for name in names])
        locale, share = vote(texts)
        if share >= KNOWN / 2:
            return locale
    words = {word for name in found for word in normal(name).split("_")}
    hits = {locale: len(words & set(known.split())) for locale, known in LOCALES.items()}
    best = max(hits, key=lambda locale: hits[locale])
    return best if hits[best] else LOCALE


def vote(texts: pa.Array) -> tuple[str, float]:
    """The locale of which most words are first or last names, and the share that are."""
    words = Counter(
        word.strip(".,").casefold() for text in pc.unique(texts).to_pylist() for word in re.split(r"[\s-]+", text)
    )
    total = max(1, sum(words.values()))
    best = (LOCALE, 0.0)
    for locale in CANDIDATES:
        known = {name.casefold() for what in ("first_name", "last_name") for name in fakes.words(what, locale).tolist()}
        share = sum(count for word, count in words.items() if _is_name(word, known)) / total
        if share > best[1] + 0.02:
            best = (locale, share)
    return best


def _is_name(word: str, known: Set[str]) -> bool:
    """Whether a word is a name, or two that are written as one, as in Japanese."""
    if word in known or word < "\u2e80":
        return word in known
    return any(word[:place] in known and word[place:] in known for place in range(1, len(word)))


def _shown(values: pa.Array) -> pa.Array:
    """Some of the values, evenly over all, as text."""
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), SHOWN)).astype(np.int64))
    return as_text(values.take(pa.array(places)))


def _looks(texts: pa.Array, what: str | None) -> float:
    """Share of texts that look like it; like two names in a row where it is None."""
    pattern = TWO_NAMES if what is None else LOOKS[what]
    return float(pc.mean(pc.match_substring_regex(texts, f"^(?:{pattern})$").cast(pa.float64())).as_py())


def _many(values: pa.Array) -> bool:
    return int(pc.count_distinct(values).as_py()) >= min(FEW, len(values))
