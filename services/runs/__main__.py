"""python -m services.runs"""

from libs.runtime.service import run
from services.runs.app import build
from services.runs.settings import RunsSettings

if __name__ == "__main__":
    run(lambda: build(RunsSettings()), json_logs=True)
