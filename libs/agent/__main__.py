"""`python -m headwater_agent`, in the repository `python -m libs.agent`."""

from .cli import main

main()
