"""python -m services.scheduler."""

from libs.runtime.service import run
from services.scheduler.app import build
from services.scheduler.settings import SchedulerSettings

if __name__ == "__main__":
    run(lambda: build(SchedulerSettings()), json_logs=True)
