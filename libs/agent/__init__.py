"""headwater-agent: takes due flow runs from a Headwater over NATS, and runs them in child processes or containers.

Installed it is `headwater_agent`; in the repository it is `libs.agent`, so it imports itself relatively and nothing
else of the repository. `PROTOCOL.md` is what it speaks; `wire` are the messages.

| module | noun |
|---|---|
| `cli` | the command |
| `agent` | the whole: what it holds, its loops, its end |
| `link` | the connection: for ever, with hello, requests, claims, logs, pings |
| `credentials` | NATS credentials files |
| `claims` | when to ask for work: one claim waits at the ledger |
| `child` | one run from claim to report |
| `processes` | what an executor is; the one that starts child processes |
| `containers` | the one that starts containers on a Docker daemon |
| `folder` | what is on disk of a run, so that a restarted agent finds it |
| `environment` | what the process is given: Prefect's LocalAgent, variable by variable |
| `container` | what the container is: Prefect's DockerAgent, call by call |
| `output` | what of the process's output becomes log lines |
| `metrics` | `/metrics` and `/health` |

Guarantees
* A process is started only while the ledger says that this agent has the run, so a run is started once.
* A process outlives the agent: killed, upgraded or restarted, the next agent on the same state folder adopts what lives
  and reports what ended meanwhile. The output goes through a file, so it neither breaks nor blocks the process.
* A process whose run belongs to another attempt is killed. A cancelled one is interrupted, terminated, killed.
* All of this holds for containers, which are found by their labels even when the state folder is lost, and are removed
  when they have been reported. A ping is sent only after Docker has said that the container runs.

When NATS is gone the agent reconnects for ever; its processes go on, their output waits on disk. When it cannot renew
a lease and does not know that the run has begun, it stops the process after the lease's time: another may have the run.
On SIGTERM it takes nothing new and waits for its processes; a second SIGTERM leaves them to the next agent.

What it will not do: touch a flow's state except through the ledger's answer to its report; forward what Prefect itself
sends to the API; run on Windows.
"""

VERSION = "0.1.0"
