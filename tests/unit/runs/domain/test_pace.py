"""How many lines of a run are stored in a minute."""

from services.runs.domain.pace import MINUTE, Pace


def test_who_stays_below_is_not_looked_at() -> None:
    pace = Pace(10)
    pace.wrote({"run": 9}, ())

    assert pace.over({"run": 1, "other": 10}, now=MINUTE) == {}


def test_who_brings_too_many_has_the_room_that_is_left() -> None:
    pace = Pace(10)
    assert pace.over({"run": 8, "other": 11}, now=MINUTE) == {"other": 10}
    pace.wrote({"run": 8, "other": 10}, ())

    assert pace.over({"run": 3, "other": 1}, now=MINUTE + 1) == {"run": 2, "other": 0}


def test_a_new_minute_has_new_room_and_says_it_anew() -> None:
    pace = Pace(10)
    pace.over({}, now=MINUTE)
    pace.wrote({"run": 10}, ())
    assert pace.over({"run": 1}, now=2 * MINUTE - 1) == {"run": 0}
    assert pace.unsaid(["run"]) == {"run"}
    pace.wrote({}, ["run"])
    assert pace.unsaid(["run"]) == set()

    assert pace.over({"run": 1}, now=2 * MINUTE) == {}
    assert pace.unsaid(["run"]) == {"run"}


def test_lines_of_no_run_have_no_pace() -> None:
    assert Pace(1).over({None: 50}, now=MINUTE) == {}
