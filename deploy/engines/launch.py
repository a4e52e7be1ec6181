"""Start one engine so that it cannot outlive its parent: `python -I -S launch.py <options> -- <command>`.

It drops to the engines' account, asks the kernel for a signal when the parent dies, and becomes the command. If the
kernel does not support this (all except Linux), it stays as a guard, which forwards signals and reads its standard
input: the parent has the other end and never writes, so end of file means that the parent is gone.

A program of its own rather than a `preexec_fn`: code between fork and exec of a process with threads may deadlock, and
uvloop does not support `user=`. Only the standard library, so that it starts in 10 ms; no imports of ours.
"""

import argparse
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command after `--`, or guard it."""
    options = _parse(sys.argv[1:])
    death_signal = signal.Signals[options.death_signal]
    if options.uid is not None:
        os.setgroups([options.gid])
        os.setgid(options.gid)
        os.setuid(options.uid)
    os.umask(0o077)
    if sys.platform == "linux":
        # After setuid, which would clear the request.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != options.parent:
            sys.exit("the parent died before the engine started")
        _detach_input()
        os.execv(options.command[0], options.command)  # noqa: S606 - the command is ours, no shell is needed
    else:
        sys.exit(_guard(options.command, death_signal))


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def _detach_input() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)


def _guard(command: list[str], death_signal: signal.Signals) -> int:
    child = os.fork()
    if child == 0:
        _detach_input()
        os.execv(command[0], command)  # noqa: S606 - as above
    for passed_on in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(passed_on, lambda number, _frame: os.kill(child, number))

    def end_with_parent() -> None:
        while os.read(0, 1):
            pass
        os.kill(child, death_signal)

    threading.Thread(target=end_with_parent, daemon=True).start()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
