"""Is the newest order young enough? Asked every minute, on a schedule.

`python freshness.py PROJECT SECONDS` registers it with a first run in so many seconds;
`python freshness.py PROJECT SECONDS --alert` registers the next version, which has a task more.
"""

import sys
from datetime import timedelta

import pendulum
import prefect
from prefect import Flow, Parameter, task
from prefect.schedules import IntervalSchedule


@task
def age_of_newest_order():
    return 12


@task
def is_fresh(age, limit):
    prefect.context.get("logger").info("the newest order is %d minutes old, limit %d", age, limit)
    return age <= limit


@task
def alert(fresh):
    prefect.context.get("logger").info("nobody to wake" if fresh else "waking the shop keeper")


def build(first_run_in, with_alert):
    # A minute is the shortest interval that Prefect allows.
    start = pendulum.now("UTC").add(seconds=first_run_in)
    schedule = IntervalSchedule(start_date=start, interval=timedelta(minutes=1))
    with Flow("freshness-check", schedule=schedule) as flow:
        fresh = is_fresh(age_of_newest_order(), Parameter("limit", default=90))
        if with_alert:
            alert(fresh)
    return flow


if __name__ == "__main__":
    project, first_run_in, *options = sys.argv[1:]
    flow = build(int(first_run_in), with_alert="--alert" in options)
    flow.register(project_name=project)
