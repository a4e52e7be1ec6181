"""Which cookies count, and which requests with one are a page's of ours."""

import pytest

from services.gateway.links.domain import Kind, Link, link_of
from services.gateway.session.domain import cookie_in, refusal, set_cookie
from services.gateway.tokens import SESSION_LASTS

OURS = {
    "host": "hw.example",
    "origin": "https://hw.example",
    "content-type": "application/json; charset=utf-8",
    "x-headwater": "1",
    "sec-fetch-site": "same-origin",
}


def test_over_https_a_cookie_counts_that_no_other_host_can_set() -> None:
    both = {"cookie": "hw=theirs; __Host-hw=ours", "origin": "https://hw.example"}
    only_theirs = {"cookie": "hw=theirs", "x-forwarded-proto": "https"}

    assert cookie_in(both) == "ours"
    assert cookie_in(only_theirs) is None
    assert cookie_in({"cookie": "hw=plain"}) == "plain"
    assert cookie_in({"cookie": "other=1"}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://hw.example.evil"},
        {"origin": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/json, text/plain"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_request_that_another_site_can_cause_is_refused(changed: dict[str, str]) -> None:
    assert refusal("POST", OURS) is None
    assert refusal("POST", OURS | changed) is not None


@pytest.mark.parametrize("missing", ["origin", "content-type", "x-headwater"])
def test_what_a_page_of_ours_always_sends_must_be_there(missing: str) -> None:
    headers = {name: value for name, value in OURS.items() if name != missing}

    assert refusal("POST", headers) is not None


def test_a_link_that_a_person_follows_may_bring_a_session() -> None:
    followed = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}

    assert refusal("GET", followed) is None
    assert refusal("GET", followed | {"sec-fetch-mode": "no-cors"}) is not None


def test_a_cookie_of_this_host_has_no_domain_and_all_its_guards() -> None:
    assert set_cookie("x", secure=True, lasts=SESSION_LASTS) == (
        "__Host-hw=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure"
    )


@pytest.mark.parametrize(
    ("path", "slug", "kind"),
    [
        ("/default/flow/x", "default", Kind.FLOW),
        ("/flow/x", None, Kind.FLOW),
        ("/a-b/task-run/", "a-b", Kind.TASK_RUN),
        ("/default", "default", None),
        ("/default/calendar", "default", None),
        ("/default/agent", "default", None),
        ("/team/members", None, None),
    ],
)
def test_a_link_is_taken_apart(path: str, slug: str | None, kind: Kind | None) -> None:
    assert link_of(path) == Link(slug, kind, None)


@pytest.mark.parametrize(
    "path", ["/assets/x.js", "/favicon.ico", "/a/b", "/default/flow/x/y", "/Default/flow/x"]
)
def test_what_is_no_link_is_left_to_others(path: str) -> None:
    assert link_of(path) is None
