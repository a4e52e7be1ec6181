"""`python -m deploy.moving_in`: the same as `headwater import`."""

from deploy.moving_in.cli import app

if __name__ == "__main__":
    app(prog_name="headwater import")
