"""Made-up people: words that Faker's providers know, drawn once for each locale and put together by row number.

Calling Faker for every value costs some 20 microseconds and makes its result depend on all calls before. Here the
words are drawn once, from a fixed seed; which of them a row gets follows from (key, number) alone.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from synth.deniable import Deniable, Numbers, Texts, choose
from synth.errors import ConfigError
from synth.patterns import permute, scattered

WORDS = {  # what -> Faker's method
    "first_name": "first_name",
    "last_name": "last_name",
    "city": "city",
    "street": "street_name",
    "postcode": "postcode",
    "company": "company",
}
NAMED = ("name", "first_name", "last_name", "email", "user_name", "url")  # made of a person's names
CODED = ("phone", "postcode", "iban", "credit_card", "national_id", "other")  # made in the source's own format
WHATS = (*NAMED, "address", "street", "city", "company", "ip", *CODED)
DOMAINS = ("example.com", "example.net", "example.org")  # reserved for examples, RFC 2606: mail to them reaches nobody
DRAWS = 6000  # calls of a provider; most know fewer words
HOUSES = 200  # house numbers
TRIES = 128  # endings of a local part that one person may have
NUMBER_FIRST = ("en", "fr")  # languages that write the house number before the street
PLAIN = str.maketrans({"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i", "þ": "th", "ð": "d"})


@lru_cache(maxsize=64)
def words(what: str, locale: str) -> Texts:
    """(V,) different words of a locale; ConfigError where Faker does not know it."""
    from faker import Faker  # takes .2 s, and only tables with personal data need it
    from faker.config import AVAILABLE_LOCALES

    if locale not in AVAILABLE_LOCALES:
        raise ConfigError(f"locale {locale!r} is unknown to Faker; there are: {', '.join(sorted(AVAILABLE_LOCALES))}")
    fake = Faker(locale, use_weighting=False)
    fake.seed_instance(0)
    method = getattr(fake, WORDS[what])
    return np.array(list(dict.fromkeys(" ".join(method().split()) for _ in range(DRAWS))))


@dataclass(frozen=True, eq=False)
class Style:
    """How texts are written. case: "upper", "lower" or "" for as the word is."""

    case: str = ""

    def __call__(self, texts: Texts) -> Texts:
        """The texts in this case."""
        return {"upper": np.strings.upper, "lower": np.strings.lower}.get(self.case, np.asarray)(texts)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words without those that a filter bans, in an order of its own; two words at once where one is not enough."""

    what: str
    locale: str
    key: int
    filter: Deniable | None = None
    style: Style = Style()

    @cached_property
    def all(self) -> Texts:
        """Every word, allowed or not."""
        known = words(self.what, self.locale)
        return known[np.random.default_rng(self.key).permutation(len(known))]

    @cached_property
    def _single(self) -> Texts:
        return self.all if self.filter is None else self.all[self.filter.allows(self.style(self.all))]

    def __len__(self) -> int:
        return len(self._single)

    def texts(self, numbers: Numbers) -> Texts:
        """A word (N,) for each number (N,); different ones for different numbers, up to the square of all."""
        single = numbers < len(self)
        if single.all():
            return self._single[numbers]
        rest = numbers[~single] - len(self)
        allows = self.filter
        if allows is not None:
            rest = choose(lambda places: allows.allows(self.style(self._double(places))), rest)
        doubled = self._double(rest)
        texts = np.empty(len(numbers), dtype=np.result_type(doubled, self.all))
        texts[single], texts[~single] = self._single[numbers[single]], doubled
        return texts

    def _double(self, places: Numbers) -> Texts:
        size = len(self.all)
        first, second = np.divmod(permute(places, size * size, self.key), size)
        joint = " & " if self.what == "company" else "-"
        return np.strings.add(np.strings.add(self.all[first], joint), self.all[second])


@dataclass(frozen=True, eq=False)
class People:
    """First and last names for each number of a person.

    names: filter and form of a column of whole names, where there is one
    """

    firsts: Texts
    lasts: Texts
    key: int
    names: tuple[Deniable | None, NameForm] | None = None

    def places(self, numbers: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """(N,) first name, last name, and how many people of the same name came before."""
        allows, form = self.names if self.names is not None else (None, None)
        if allows is not None and form is not None:
            numbers = choose(lambda places: allows.allows(form(*self._named(places))), numbers)
        return self._split(numbers)

    def _named(self, places: Numbers) -> tuple[Texts, Texts]:
        first, last, _ = self._split(places)
        return self.firsts[first], self.lasts[last]

    def _split(self, places: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        room = len(self.firsts) * len(self.lasts)
        first, last = np.divmod(permute(places, room, self.key), len(self.lasts))
        return first, last, places // room

    def locals(self, numbers: Numbers, joint: str) -> tuple[Texts, Numbers]:
        """(N,) e-mails' local parts without ending, and the number that the first ending has."""
        first, last, before = self.places(numbers)
        head = np.strings.add(self._slugs[0][first], joint)
        return np.strings.add(head, self._slugs[1][last]), before * TRIES

    @cached_property
    def _slugs(self) -> tuple[Texts, Texts]:
        return slugs(self.firsts), slugs(self.lasts)


@dataclass(frozen=True, eq=False)
class NameForm:
    """How a whole name is written: "first last", "last, first" or "lastfirst"."""

    form: str
    style: Style

    def __call__(self, first: Texts, last: Texts) -> Texts:
        """(N,) whole names."""
        if self.form == "first last":
            return self.style(np.strings.add(np.strings.add(first, " "), last))
        joint = ", " if self.form == "last, first" else ""
        return self.style(np.strings.add(np.strings.add(last, joint), first))


def ended(heads: Texts, tails: Texts, first: Numbers, allows: Deniable | None, style: Style) -> Texts:
    """heads + number + tails (N,), with the first number from `first` on (none for 0) that is allowed."""
    made = np.empty(len(heads), dtype=object)
    left = np.arange(len(heads))
    for turn in range(TRIES):
        number = first[left] + turn
        ending = np.where(number > 0, number.astype(np.str_), "")
        texts = style(np.strings.add(np.strings.add(heads[left], ending), tails[left]))
        made[left] = texts
        if allows is None:
            break
        left = left[~allows.allows(texts)]
        if not len(left):
            break
    return made.astype(np.str_)


def domains(numbers: Numbers, key: int, declared: str | None) -> Texts:
    """(N,) the declared domain, or one of those that nobody owns."""
    return np.array([declared] if declared else DOMAINS)[scattered(numbers, key) % (1 if declared else len(DOMAINS))]


@dataclass(frozen=True, eq=False)
class Places:
    """Streets with house numbers, and whole addresses.

    joint: between the street and the town, or None for the street alone
    """

    locale: str
    key: int
    joint: str | None
    filter: Deniable | None
    style: Style

    def texts(self, numbers: Numbers) -> Texts:
        """(N,) addresses, different ones for different numbers while there are."""
        allows = self.filter
        if allows is not None:
            numbers = choose(lambda places: allows.allows(self._made(places)), numbers)
        return self._made(numbers)

    def _made(self, places: Numbers) -> Texts:
        streets, cities = words("street", self.locale), words("city", self.locale)
        room = len(streets) * HOUSES * (1 if self.joint is None else len(cities))
        rest, house = np.divmod(permute(places, room, self.key), HOUSES)
        town, street = np.divmod(rest, len(streets))
        front = self.locale.split("_")[0] in NUMBER_FIRST
        number = (house + 1).astype(np.str_)
        parts = (number, streets[street]) if front else (streets[street], number)
        line = np.strings.add(np.strings.add(parts[0], " "), parts[1])
        if self.joint is None:
            return self.style(line)
        codes = words("postcode", self.locale)
        code = codes[scattered(places, self.key) % len(codes)]
        ends = (cities[town], code) if self.locale.startswith("en") else (code, cities[town])
        town_line = np.strings.add(np.strings.add(ends[0], " "), ends[1])
        return self.style(np.strings.add(np.strings.add(line, self.joint), town_line))


@dataclass(frozen=True, eq=False)
class Addresses:
    """IP addresses that no host on the internet has: 10.0.0.0/8 (RFC 1918) or 2001:db8::/32 (RFC 3849)."""

    key: int
    wide: bool
    filter: Deniable | None

    def texts(self, numbers: Numbers) -> Texts:
        """(N,) addresses, different ones for different numbers while there are."""
        allows = self.filter
        if allows is not None:
            numbers = choose(lambda places: allows.allows(self._made(places)), numbers)
        return self._made(numbers)

    def _made(self, places: Numbers) -> Texts:
        place = permute(places, 2**32 if self.wide else 2**24, self.key).tolist()
        if self.wide:
            return np.array([f"2001:db8::{p >> 16:x}:{p & 0xFFFF:x}" for p in place], dtype=np.str_)
        return np.array([f"10.{p >> 16}.{p >> 8 & 255}.{p & 255}" for p in place], dtype=np.str_)


def slugs(texts: Texts) -> Texts:
    """(V,) each word in small Latin letters, all different; syllables where it has no such letters."""
    seen: dict[str, None] = {}
    for place, text in enumerate(texts.tolist()):
        folded = unicodedata.normalize("NFKD", text.lower().translate(PLAIN))
        slug = "".join(sign for sign in folded if "a" <= sign <= "z") or _syllables(place)
        while slug in seen:
            slug += _syllables(place)
        seen[slug] = None
    return np.array(list(seen))


def _syllables(number: int) -> str:
    """Three syllables of a number below a million."""
    parts = []
    for _ in range(3):
        number, place = divmod(number, 100)
        parts.append("bcdfghjklmnprstvwxyz"[place // 5] + "aeiou"[place % 5])
    return "".join(parts)
