"""Private words do not come back: the field has a term for each of them (CONTRIBUTING.md, Style)."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
FOLDERS = ("deploy", "libs", "services")
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", "docker-compose.yml")
ENDINGS = {".py", ".sql", ".md", ".yml", ".yaml", ".cfg", ".conf"}
NOT_OURS = {"node_modules", "dist", "dashboard", "migrations", "requirements"}

TERMS = {
    "bears": "has",
    "bench": "unit of work (of `make bench`: benchmark)",
    "buried": "dead-lettered",
    "bury": "dead_letter",
    "chorus": "coverage",
    "crowd": "the name of what is counted, such as run counts",
    "deaf": "coverage",
    "door": "authenticator, or proxy",
    "ear": "listener",
    "ears": "listeners",
    "hence": "so",
    "knock": "auth request",
    "lest": "so that ... not",
    "merely": "only",
    "nobody's": "no ...'s",
    "roll": "last heard",
    "upon": "on",
    "whom": "a noun, such as the caller",
}
"""A private or old-fashioned word, and what to write instead."""

PARTS = re.compile(r"[A-Za-z](?:[a-z]+|[A-Z]*(?![a-z]))(?:'s)?")
"""The words of a text, those inside snake_case and CamelCase names too."""

MAKE_BENCH = re.compile(r"make bench\b|`?bench \w+`|tests[/.]bench\b|`bench`")


def texts() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in ENDINGS and NOT_OURS.isdisjoint(path.parts):
                yield str(path.relative_to(CHECKOUT)), path.read_text()
    for page in PAGES:
        yield page, (CHECKOUT / page).read_text()


def private_words(text: str) -> list[tuple[int, str]]:
    """Line numbers and words."""
    return [
        (number, word)
        for number, line in enumerate(text.splitlines(), start=1)
        for word in map(str.lower, PARTS.findall(MAKE_BENCH.sub("", line)))
        if word in TERMS
    ]


def test_no_private_word_stands_where_the_field_has_a_term() -> None:
    found = [
        f"{name}:{number} {word} (write: {TERMS[word]})"
        for name, text in texts()
        for number, word in private_words(text)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Ear(Listener):", ["ear"]),
        ("    self._door_is_open = True", ["door"]),
        ("# Whom it is for, and nobody's business.", ["whom", "nobody's"]),
        ("BENCH = 1", ["bench"]),
        ("`make bench only=runs` clears what appears; it rolls back", []),
    ],
)
def test_the_measure_finds_words_inside_names_and_leaves_longer_words_alone(
    text: str, words: list[str]
) -> None:
    assert [word for _, word in private_words(text)] == words
