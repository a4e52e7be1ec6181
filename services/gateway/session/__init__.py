"""A browser's session: a person shows a key once, and the browser a cookie from then on.

    POST /session {"key": ...}  logs in     GET /session  who am I, and what may I do     DELETE /session  logs out

The cookie is a sealed token that names the key (`services.gateway.tokens`). Nothing about it is stored while it lasts:
it ends with its key, with the membership that let it in, or after twelve hours. No script of a page can read it, and
no other site can make a browser send it. Whatever a cookie asks for, the rest of the gateway sees as the token in
`Authorization`.

| over | cookie | why |
|---|---|---|
| https | `__Host-hw`, Secure | nobody but this very host can set or read it |
| plain http | `hw` | browsers keep no Secure cookie of plain http, but for their own machine; the answer says so |

Logging out ends the session itself, also for whoever has a copy of the cookie: its serial number is written to
`gateway.ended_session` until it would have ended by itself. Other gateways learn of it by a signal. If that is lost
they look within a second, as they do for keys; open event streams and subscriptions end with it. The key and its other
sessions go on. A session makes no tokens (`switch_tenant`): they would outlive it.
With PostgreSQL away a log-out answers 503 and leaves the cookie, so that it can be sent again.

Keys off: there is nothing to log in to; `GET /session` says so, and `browsers` checks `Host`.
"""
