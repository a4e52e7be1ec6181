"""python -m services.heartbeat."""

from libs.runtime.service import run
from services.heartbeat.app import build
from services.heartbeat.settings import HeartbeatSettings

if __name__ == "__main__":
    run(lambda: build(HeartbeatSettings()), json_logs=True)
