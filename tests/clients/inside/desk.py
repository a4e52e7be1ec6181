"""What both scripts share: what they were given, and chapters that fail one by one.

It runs in the client's own environment, so it may use what every generation has, and nothing of Headwater.
"""

import json
import sys
import traceback

import prefect

given = json.loads(sys.argv[1])
VERSION = tuple(int(part) for part in prefect.__version__.split("+")[0].split("."))
CLOUD = given["mode"] == "cloud"
CAMEL = VERSION < (0, 10)
told = {}


def chapter(function):
    """Run it now. What it returns, or what went wrong, is told under its name; the others go on."""
    try:
        told[function.__name__] = {"ok": function()}
    except BaseException:  # prefect raises signals that are no Exceptions
        told[function.__name__] = {"error": traceback.format_exc()}
    return function


def failure_of(function, *arguments, **keywords):
    """The type and the text of what it raises, as a user sees them; None when it raises nothing."""
    try:
        function(*arguments, **keywords)
    except BaseException as error:
        return [type(error).__name__, str(error)]
    return None


def tell():
    print("\n@answer " + json.dumps(told, default=str))


def mutate(snake, camel, **fields):
    """A mutation that no method of this client sends, in its own dialect, through its own connection."""
    name = camel if CAMEL else snake
    keys = {
        key.split("_")[0] + key.split("_")[1].title() if CAMEL else key: value
        for key, value in fields.items()
    }
    arguments = ", ".join(f"{key}: {json.dumps(value)}" for key, value in keys.items())
    return prefect.Client().graphql(
        f"mutation {{ {name}(input: {{ {arguments} }}) {{ success }} }}"
    )
