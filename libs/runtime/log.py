"""Structured logs: constant lower-case messages, fields as keywords. JSON when not on a terminal or when asked."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from libs.runtime import trace


def configure(*, json: bool, level: str = "INFO") -> None:
    """Set up structlog and route the standard library's records of warning and above through it."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_trace,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # traces without local variables: those hold people's flows and secrets
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    output = cast("TextIO", _Lossy(sys.stderr))
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


class _Lossy:
    """A stream that may be a file on a full disk, or a pipe whose reader is gone: text that cannot be written is lost.

    Logging code often handles a failure already. An exception from here would replace its answer, and end the loop that
    should retry.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if it is possible; the result is the same in any case."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if it is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def _add_trace(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Add the trace of a line, so that each can be found from the other."""
    traceparent = trace.current()
    if traceparent is not None:
        _, event["trace_id"], event["span_id"], _ = traceparent.split("-")
    return event


def get(service: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names its service."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=service)
    return logger
