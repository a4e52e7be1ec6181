"""python -m services.automations."""

from libs.runtime.service import run
from services.automations.app import build
from services.automations.settings import AutomationsSettings

if __name__ == "__main__":
    run(lambda: build(AutomationsSettings()), json_logs=True)
