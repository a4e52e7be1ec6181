"""A name is one line of text, and says so of the field it was given for."""

import pytest

from services.gateway.names import name_refusal, one_line


@pytest.mark.parametrize("name", ["a", "x" * 255, "naïve 名前", "می‌خواهم", "👩‍🚀"])
def test_a_line_of_text_in_any_script_is_a_name(name: str) -> None:
    assert name_refusal("name", name) is None
    assert one_line(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "1 to 255"),
        ("  ", "1 to 255"),
        ("x" * 256, "has 256"),
        ("x" * 100_000, "has 100000"),
        ("a\nb", "U+000A"),
        ("a\x00", "U+0000"),
        ("\x1b[31m", "U+001B"),
        ("a\u2028b", "U+2028"),
        ("admin\u202enimda", "U+202E"),
    ],
)
def test_anything_else_is_refused_in_words(name: str, says: str) -> None:
    reason = name_refusal("name", name)

    assert reason is not None
    assert reason.startswith("name must")
    assert says in reason


def test_an_old_name_is_shown_as_one_short_line() -> None:
    assert one_line("a\nb" + "x" * 1000) == "a\ufffdb" + "x" * 252
