"""Literals are lifted out of documents as the parser would have found them."""

import pytest
from graphql import parse
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.reads.documents import lift, slots_of


def test_documents_that_differ_in_their_literals_have_one_skeleton() -> None:
    one = lift('{ flow_run(where: {id: {_eq: "a"}, version: {_gt: 1}}, limit: 10) { id } }')
    other = lift('{ flow_run(where: {id: {_eq: "b c"}, version: {_gt: -7}}, limit: 2) { id } }')

    assert one.skeleton == other.skeleton
    assert one.literals == ("a", 1, 10)
    assert other.literals == ("b c", -7, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{ a(x: "1") }', "{ a(x: 1) }"),
        ("{ a(x: 1) }", "{ a(x: 1.0) }"),
        ("{ a(x: true) }", "{ a(x: false) }"),
        ("{ a(x: null) }", '{ a(x: "null") }'),
        ("{ a1 }", "{ a2 }"),
        ("{ a(x: $v1) }", "{ a(x: $v2) }"),
        ('{ a(x: ["1"]) }', '{ a(x: ["1", "2"]) }'),
        ("{ a(x: 1) }", "{ a(x: 99999999999) }"),
    ],
)
def test_documents_that_mean_something_else_have_other_skeletons(one: str, other: str) -> None:
    assert lift(one).skeleton != lift(other).skeleton


@pytest.mark.parametrize(
    "text",
    [
        '{ a(x: "with \\"quotes\\" and \\\\ and \\u00e9 and \\n") }',
        '{ a(x: "tab\\there", y: "") }',
        '{ a # a comment with "quotes" and 12 numbers\n (x: "after") }',
        '{ a(x: """block "quoted" 12""", y: "after") }',
        '{ a(x: """ends with \\""" inside""", y: 3) }',
        "{ a1(x2: 3, y: -4, z: 5.5, e: 1e3, f: 2.5E-3) }",
        '{ a(x: [1,2,3], y: {b1: "c2"}) }',
        'query ($x: String = "default", $n: Int = 3) { a(x: $x) @include(if: true) }',
        "{ a(x: 2147483648, y: -2147483649, z: 2147483647) }",
        "{ a(x: 0.5 y: -0) }",
        f"{{ a(x: {'9' * 5000}, y: 1) }}",
        '{ a(x: "one" y: "", z: """""" w: 1)}',
        'query q1($v2: Int){a1b(x:"-2#3",y:-2)}#4',
    ],
)
def test_the_scan_agrees_with_the_parser(text: str) -> None:
    assert slots_of(lift(text), parse(text)) is not None


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs", "Cc"])).map(
                lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            ),
            st.integers(-(2**33), 2**33).map(str),
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from(["true", "null", "word", "$v1", '"""a "b" 1"""', '#c 1 "d"\n 1']),
        ),
        min_size=1,
    )
)
def test_the_scan_agrees_with_the_parser_on_any_literals(values: list[str]) -> None:
    text = "query ($v1: Int) { a(" + ", ".join(f"x{n}: {v}" for n, v in enumerate(values)) + ") }"

    assert slots_of(lift(text), parse(text)) is not None


def test_a_scan_that_disagrees_with_the_parser_is_noticed() -> None:
    lifted = lift('{ a(x: "1") }')

    assert slots_of(lifted, parse('{ a(x: "2") }')) is None


@pytest.mark.parametrize("unending", ['"', '"a', '"\\', '"\\"', '"a\\"b', '"\n"\n"'])
def test_a_string_without_an_end_is_no_literal(unending: str) -> None:
    assert lift(f"{{ a(x: {unending}").literals == ()


def test_a_megabyte_of_strings_without_an_end_is_scanned_once() -> None:
    unending = "{ a(x: " + '"\\' * 500_000

    assert lift(unending).skeleton == unending
