"""`python -m deploy.command`."""

from deploy.say import complain

try:
    from deploy.command.app import main
except ModuleNotFoundError as error:
    complain(Exception(f"The package {error.name} is not installed; run `make setup`."))

if __name__ == "__main__":
    main()
