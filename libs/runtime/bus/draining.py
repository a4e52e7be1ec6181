"""What FastStream's own stop leaves undone."""

import asyncio

from faststream.nats.subscriber.usecases import ConcurrentCoreSubscriber

from libs.runtime.bus.router import Router


async def finish(router: Router) -> None:
    """Return when every request that FastStream has taken is answered.

    FastStream's own stop drops requests that wait in its stream. Call this when the server sends no more and nats-py's
    queues are empty.
    """
    for subscriber in router.subscribers:
        if not isinstance(subscriber, ConcurrentCoreSubscriber):
            continue
        stream, limiter = subscriber.receive_stream, subscriber.limiter
        while True:
            # From the queue to the stream, from there to a task, and the task to the lock: one turn of the loop each.
            for _ in range(4):
                await asyncio.sleep(0)
            if (
                not stream.statistics().current_buffer_used
                and limiter.value == subscriber.max_workers
            ):
                break
            await asyncio.sleep(0.005)
