"""OpenTelemetry traces: from HTTP through NATS into SQL, off unless an address of a collector is given.

Off is the default and costs one `is None` each time, half a microsecond of the 350 that a transition takes:
nothing of OpenTelemetry is imported, no header is added to a message. On, each service exports its spans by OTLP over
HTTP from a thread of its own; when the collector is away spans are dropped, and nothing waits for it.

A span holds names: of a route, an operation, a subject, a statement, an outcome. Never a parameter, a variable, a body,
an address with a token in it, or the text of an error, because PostgreSQL's errors quote what was sent.

Contexts travel as W3C `traceparent` texts, in HTTP headers, NATS headers and outbox rows, so no type of OpenTelemetry
leaves this module.
"""

import asyncio
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

HEADER = "traceparent"
_EXPORT_TIMEOUT = 5.0  # seconds; a collector that needs longer gets the next batch
_LAST_WORDS = 3.0  # seconds for what is left at the end; the drain of a service has 20
_PATH = "/v1/traces"  # of OTLP over HTTP

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_on = False


def endpoint_of(given: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The full address to send spans to; None when traces are off.

    `given` is HEADWATER_TRACES, the collector's base address; without it OpenTelemetry's own variables count.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if given is None and (exact := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return exact
    base = given or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not base:
        return None
    base = base.rstrip("/")
    return base if base.endswith(_PATH) else base + _PATH


def start(service: str, given: str | None) -> "Tracing | None":
    """Traces of one service, or None when they are off."""
    endpoint = endpoint_of(given)
    return None if endpoint is None else Tracing(service, endpoint)


def current() -> str | None:
    """The `traceparent` of this task's current span; None without one, and when traces are off."""
    if not _on:
        return None
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - never imported when off

    return _text(get_current_span().get_span_context())


class Tracing:
    """One service's spans, and where they go."""

    def __init__(self, service: str, endpoint: str) -> None:
        # Imported here and not at the top: it takes half a second, only needed with traces.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        global _on  # noqa: PLW0603 - so that `current` costs a look at one name
        _on = True
        self._provider = TracerProvider(
            resource=Resource.create(
                {"service.name": f"headwater-{service}", "service.namespace": "headwater"}
            ),
            shutdown_on_exit=False,  # `stop` does it, within bounds
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_TIMEOUT))
        )
        self._tracer = self._provider.get_tracer("headwater")

    async def stop(self) -> None:
        """Send the remaining spans. Does not wait long for a collector that does not answer."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        deadline = asyncio.get_running_loop().time() + _LAST_WORDS
        # Polled: the thread cannot set an event of a loop that may be closed by then.
        while ending.is_alive() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        within: str | None = None,
        links: Iterable[str] = (),
        attributes: Mapping[str, str | int] | None = None,
    ) -> Iterator["Span"]:
        """A span around the block: below the `traceparent` that `within` holds, else below the task's own span.

        `links` are `traceparent` texts of other traces that this one works for. Invalid ones are left out: headers come
        from outside. An exception marks the span by its class alone and goes on.
        """
        from opentelemetry import trace as api  # noqa: PLC0415 - never imported when off

        parent = _parsed(within)
        context = None
        if parent is not None:
            context = api.set_span_in_context(api.NonRecordingSpan(parent))
        linked = [api.Link(other) for text in links if (other := _parsed(text)) is not None]
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=api.SpanKind[kind.upper()],
            attributes=attributes,
            links=linked,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_status(api.StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise

    def headers(self) -> dict[str, str]:
        """Headers of a message, so that its handler continues this trace."""
        text = current()
        return {} if text is None else {HEADER: text}


def _text(context: "SpanContext") -> str | None:
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _parsed(text: str | None) -> "SpanContext | None":
    if not text:
        return None
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - never imported when off
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    found = TraceContextTextMapPropagator().extract({HEADER: text})
    context = get_current_span(found).get_span_context()
    return context if context.is_valid and context.is_remote else None
