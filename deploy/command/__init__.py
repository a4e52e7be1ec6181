"""`headwater`, the one command line: also `python -m deploy.command` in a checkout.

`app.py` puts it together; each other file has the commands of one subject. A command imports what it needs when it
runs, so that help, mistakes and shell completion are answered at once.

Exit codes
    0      done
    1      it could not be done, or a check found a fault; one sentence on standard error says what to do
    2      the command line was wrong: an unknown option, a missing argument
    130    ended by Ctrl-C

With `--json` the result is one JSON document on standard output. Progress and errors are on standard error.
"""
