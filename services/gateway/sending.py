"""Answers on their way to the client."""

from starlette.types import Send

from services.gateway.answers import Answer

SLICE = 256 * 1024
"""Bytes of an answer that are sent at once."""
HEAD = b"content-length: %d\r\ncontent-type: application/json\r\n"
"""The headers of an answer that is sent at once."""
_JSON_HEADER = (b"content-type", b"application/json")
_RETRY_SOON = (b"retry-after", b"1")


async def send_answer(send: Send, answer: Answer, *more: tuple[bytes, bytes]) -> None:
    """Send it as ASGI says; a large one in parts."""
    headers = [(b"content-length", b"%d" % len(answer.body)), _JSON_HEADER, *more]
    if answer.status == 429:
        headers.append(_RETRY_SOON)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if len(answer.body) <= SLICE:
        await send({"type": "http.response.body", "body": answer.body})
        return
    # In parts, each of which waits until the client has taken the ones before.
    body = memoryview(answer.body)
    for start in range(0, len(body), SLICE):
        part, more_body = body[start : start + SLICE], start + SLICE < len(body)
        await send({"type": "http.response.body", "body": part, "more_body": more_body})
