"""headwater-agent: takes due flow runs from a Headwater over NATS, and runs them in child processes or containers.

Installed it is `headwater_agent`; in the repository it is `libs.agent`, so it imports itself relatively and nothing
else of the repository. `PROTOCOL.md` describes its protocol; `wire` has the messages.

| module | noun |
|---|---|
| `cli` | the command |
| `agent` | the agent process: its runs, its loops, its end |
| `link` | the connection, restored for ever: hello, requests, claims, logs, pings |
| `credentials` | NATS credentials files |
| `claims` | when to claim: one claim waits at the ledger |
| `child` | one run from claim to report |
| `processes` | the interface of executors; the one that starts child processes |
| `containers` | the one that starts containers on a Docker daemon |
| `folder` | the files of a run on disk, so that a restarted agent finds it |
| `environment` | the environment of the process: Prefect's LocalAgent, variable by variable |
| `container` | the container's settings: Prefect's DockerAgent, call by call |
| `output` | which output of the process becomes log lines |
| `metrics` | `/metrics` and `/health` |

Guarantees
* A process is started only while the ledger says that this agent has the run, so a run is started once.
* A process outlives the agent: killed, upgraded or restarted, the next agent on the same state folder adopts the live
  processes and reports those that ended meanwhile. The output goes through a file, so it neither breaks nor blocks the
  process.
* A process whose run belongs to another attempt is killed. A cancelled one is first interrupted, then terminated, then
  killed.
* All of this holds for containers, which are found by their labels even when the state folder is lost, and are removed
  when they have been reported. A ping is sent only after Docker has said that the container runs.

When NATS is gone the agent reconnects for ever; its processes go on, their output waits on disk. When it cannot renew a
lease and does not know that the run has begun, it stops the process when the lease expires: another agent may have the
run. On SIGTERM it claims nothing new and waits for its processes; a second SIGTERM leaves them to the next agent.

What it will not do: touch a flow's state except through the ledger's answer to its report; forward log records that
Prefect itself sends to the API; run on Windows.
"""

VERSION = "0.2.0"
