"""GraphQL subscriptions over WebSocket, `graphql-transport-ws`, on the addresses of GraphQL.

    hub (events/) -> listening.py -> Strawberry's resolvers -> operations.py -> Strawberry's handler -> socket.py

The fields are `flow_run_events`, `task_run_events`, `logs` and `agent_events` (`graphql/subscriptions.py`). They tell
what `GET /events` tells, from the same hub: hints, coalesced to four messages a second, with a `cursor` to go on from.
The protocol is Strawberry's own handler; what is ours is who may come in, what a message may be, and how it ends.

Guarantees
* Nobody hears of another tenant. An id of another tenant and one of nobody are refused in the same sentence.
* Whoever would be refused a request has no socket: it is closed with 4403 within a second of the key's end.
* A subscription counts as one event stream of its key. A socket has 20 at most, and a key as many sockets as streams.
* What one socket may send is bounded (`libs/runtime/http_websocket.py`), and so is what waits for it: who reads too
  slowly is closed with 1013 and goes on from its cursor.
* An event is resolved once for all who asked the same of it, however many listen.

| code | why |
|---|---|
| 1012 | this gateway stops: come back with your cursor |
| 1013 | you read too slowly, or there are too many just now: come back with your cursor |
| 4400 | a message that makes no sense |
| 4403 | the key is missing, unknown, revoked or expired, or its tenant is no longer yours |
| 4406 | another subprotocol than graphql-transport-ws |
| 4408 | no `connection_init` within ten seconds |
| 4429 | the key has as many sockets as it may |

A browser's page is known by its session's cookie, and then its Origin must be ours. Other clients show their key in the
header `Authorization` of the upgrade or in the payload of `connection_init`: `{"authorization": "Bearer hw_..."}`.
"""
