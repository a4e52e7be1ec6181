"""Automations: what is done when something happens. There is none yet, so this service starts, is ready and waits.

**Owns** the schema `automations` (hooks, actions, SLAs, deliveries). **Reads** and **proposes** nothing.

* *NATS or PostgreSQL gone:* it is not ready, and ready again when they are back.
* *Killed, paused or run twice:* nothing is lost, since it holds nothing.

| to change | go to |
|---|---|
| what it listens to | `subscribers.py` |
| what can be set | `settings.py` |
"""
