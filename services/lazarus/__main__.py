"""python -m services.lazarus."""

from libs.runtime.service import run
from services.lazarus.app import build
from services.lazarus.settings import LazarusSettings

if __name__ == "__main__":
    run(lambda: build(LazarusSettings()), json_logs=True)
