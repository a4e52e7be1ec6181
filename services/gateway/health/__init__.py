"""How every service and engine is, for a person: `system_health` in GraphQL, `GET /health/services` as JSON.

Services say every five seconds how they are (`libs.contracts.alive`); this gateway hears all of them and keeps who said
what when. It asks PostgreSQL, NATS and the disk itself. Nothing is stored: a gateway that has just started says
`unknown` before its first answer.

| status | means |
|---|---|
| `ready` | all that is known of it is well |
| `degraded` | it works, but not all of it, or a replica is gone; the reason is a sentence |
| `unready` | it lives, and can do nothing useful |
| `down` | nobody has heard it for 25 s, or it was stopped |
| `unknown` | nobody can say: the gateway has just started, or is cut off from NATS |

Who sees what: with keys off everybody sees all. With keys on, administrators of tenants see what each service and
engine is and since when; what is wrong in detail, replicas and versions are for operators, who reach the health port
(`HEADWATER_HEALTH_PORT`, which strangers must not reach, as for `/metrics`).

A replica that died is remembered for ten minutes beside others that live; then it counts as one that was taken away.
"""
