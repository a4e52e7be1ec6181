"""A collector for tests: takes OTLP over HTTP and keeps the spans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One span as it came over the wire."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """Spans of other traces."""
    attributes: dict[str, Any]
    text: str
    """All of it, for looking for what must not be there."""


@dataclass(slots=True)
class Collector:
    """Where spans arrive, in any order."""

    url: str = ""
    requests: int = 0
    spans: list[Seen] = field(default_factory=list)

    def named(self, service: str, name: str) -> list[Seen]:
        """The spans of a service with this name."""
        return [s for s in self.spans if (s.service, s.name) == (f"headwater-{service}", name)]

    def above(self, span: Seen) -> list[Seen]:
        """Its ancestors that have arrived, the nearest first."""
        by_id = {other.span_id: other for other in self.spans}
        found: list[Seen] = []
        while (parent := by_id.get(span.parent_id)) is not None:
            found.append(parent)
            span = parent
        return found

    def take(self, body: bytes) -> None:
        """Keep what one export brought."""
        self.requests += 1
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Seen(
                            service=service["service.name"],
                            name=span.name,
                            trace_id=span.trace_id.hex(),
                            span_id=span.span_id.hex(),
                            parent_id=span.parent_span_id.hex(),
                            links=tuple(link.span_id.hex() for link in span.links),
                            attributes={
                                a.key: getattr(a.value, a.value.WhichOneof("value") or "")
                                for a in span.attributes
                            },
                            text=f"{resource.resource} {span}",
                        )
                    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of the loopback address."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path != "/v1/traces":
                self.send_error(404)
                return
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
