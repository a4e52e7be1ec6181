"""python -m services.gateway"""

from libs.runtime.service import run
from services.gateway.app import build
from services.gateway.settings import GatewaySettings

if __name__ == "__main__":
    run(lambda: build(GatewaySettings()), json_logs=True)
