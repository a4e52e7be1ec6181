"""`python -m deploy.local`."""

from deploy.say import complain

try:
    from deploy.local.commands import app
except ModuleNotFoundError as error:
    complain(Exception(f"The package {error.name} is not installed; run `make setup`."))

if __name__ == "__main__":
    app(prog_name="python -m deploy.local")
