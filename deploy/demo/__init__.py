"""`make demo`: shows Headwater's main job with a real Prefect client.

What happens, in this order: an environment with an unmodified `prefect==1.4.1` is made (or found);
Headwater is started, or the one that already answers is used; two example flows (`flows/`) are
registered with `flow.register(project_name=...)`; `prefect agent local start` runs them, one ad hoc
and one on its schedule; one flow is registered again, so that its new version archives the old
one; and what Headwater then knows is read back over GraphQL and printed.

    python -m deploy.demo              stays up until Ctrl-C, so that you can look around
    DEMO_EXIT=1 python -m deploy.demo  ends by itself: 0 if everything was as it should be

    HEADWATER_PORT                     where to listen on 127.0.0.1, or to find a running Headwater
    HEADWATER_DATA                     its data; the demo's own default is .demo/data
    HEADWATER_CLIENTS                  where the client's environment is kept (deploy/clients)
    NO_COLOR                           as everywhere

Guarantees
* Every sentence it prints as done was read back from the API; if one is not so, the exit code is 1 and the reason is
  printed, together with the last output of the process.
* Everything that it started is stopped when it ends: at the end, on failure, on Ctrl-C and on SIGTERM. A Headwater that
  was running before is left running.
* It uses only `.demo/` and the client cache. ~/.prefect is neither read nor written.

It is repeatable on the same data: flows get their next versions. When the package index is gone
it works as long as the client's environment exists.
"""
