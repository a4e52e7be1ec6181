"""A browser's session: a person shows a key once, and the browser a cookie from then on.

    POST /session {"key": ...}  logs in     GET /session  who am I, and what may I do     DELETE /session  logs out

The cookie is a sealed token that names the key (`services.gateway.tokens`). Nothing about it is stored: it ends with
its key, with the membership that let it in, or after twelve hours. No script of a page can read it, and no other site
can make a browser send it. Whatever a cookie asks for, the rest of the gateway sees as the token in `Authorization`.

| over | cookie | why |
|---|---|---|
| https | `__Host-hw`, Secure | nobody but this very host can set or read it |
| plain http | `hw` | browsers keep no Secure cookie of plain http, but for their own machine; the answer says so |

Logging out forgets the cookie in the browser. Who has a copy of it keeps it until its end: revoke the key.
Keys off: there is nothing to log in to; `GET /session` says so, and `browsers` checks `Host`.
"""
