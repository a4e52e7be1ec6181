"""Yesterday's orders of every shop in one report: parameters, a mapped task, a task that is retried.

A plain Prefect flow, as a user writes it. `python orders.py PROJECT` registers it.
"""

import sys
from datetime import timedelta

import prefect
from prefect import Flow, Parameter, task

SALES = {"lisbon": (1250, "EUR"), "oslo": (14800, "NOK"), "zurich": (2310, "CHF")}
EURO_PER = {"EUR": 1.0, "NOK": 0.085, "CHF": 1.04}


@task
def fetch_orders(shop, day):
    amount, currency = SALES[shop]
    prefect.context.get("logger").info("%s sold for %d %s on %s", shop, amount, currency, day)
    return {"shop": shop, "amount": amount, "currency": currency}


@task(max_retries=2, retry_delay=timedelta(seconds=1))
def exchange_rates(day):
    """A source that is busy at the first call, as in reality."""
    if prefect.context.get("task_run_count", 1) == 1:
        raise ConnectionError("the rates server is busy, try again")
    prefect.context.get("logger").info("rates of %s loaded", day)
    return EURO_PER


@task
def in_euro(order, rates):
    return order["amount"] * rates[order["currency"]]


@task
def report(amounts, day):
    total = sum(amounts)
    prefect.context.get("logger").info("%d shops sold for %.2f EUR on %s", len(amounts), total, day)
    return total


with Flow("order-report") as flow:
    day = Parameter("day", default="yesterday")
    shops = Parameter("shops", default=["lisbon", "oslo"])
    orders = fetch_orders.map(shops, day=prefect.unmapped(day))
    rates = exchange_rates(day)
    report(in_euro.map(orders, rates=prefect.unmapped(rates)), day)


if __name__ == "__main__":
    flow.register(project_name=sys.argv[1])
