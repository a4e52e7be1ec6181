"""Structured logs: constant lower-case messages, fields as keywords. JSON when not on a terminal or when asked."""

import logging
import sys

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
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def _add_trace(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Name the trace that a line belongs to, so that the log is found from the trace and back."""
    traceparent = trace.current()
    if traceparent is not None:
        _, event["trace_id"], event["span_id"], _ = traceparent.split("-")
    return event


def get(service: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names its service."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=service)
    return logger
