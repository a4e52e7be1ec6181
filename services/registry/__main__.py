"""`python -m services.registry`"""

from libs.runtime.service import run
from services.registry.app import build
from services.registry.settings import RegistrySettings

if __name__ == "__main__":
    run(lambda: build(RegistrySettings()), json_logs=True)
