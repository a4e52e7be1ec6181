"""Headwater on one machine: `python -m deploy.local run | up | down | status | logs`.

    run      engines, migration, provisioning and all services in this process, in the foreground, until Ctrl-C
    up       the same in the background; returns when it answers
    down     stop it; returns when it is gone
    status   what runs, where, and since when
    logs     the logs of Headwater, one engine or (with --processes) one service

Environment
    HEADWATER_DATA    where everything is kept (.headwater in the checkout)
    HEADWATER_HOST    where the API listens (127.0.0.1)
    HEADWATER_PORT    its port (4200; 0 chooses one)
    HEADWATER_HEALTH_PORT  where /health, /ready and /metrics are instead of the API's port. With --processes that is
                      the gateway's; those after it are the other services', in the order of libs/contracts/services.py
    HEADWATER_AUTH    required or off: API keys (off on loopback, required elsewhere)

Other HEADWATER_ variables (HEADWATER_TRACES, HEADWATER_LAZARUS_LIMIT, ...) and OTEL_ ones are the services' own.

`run --processes` gives each service a process of its own, as in production, at the cost of memory. A service that
crashes is then reported by its name and restarted.

After every kind of crash the next start goes on with the same data: the engines end with their parent
(`deploy.engines`), the lock on the data folder is released by the kernel, and services keep no files of their own.
"""
