"""Automations: what is done when something happens, and when something does not happen in time.

**Owns** the schema `automations`: hooks, actions, SLAs, deliveries. **Reads** runs, flows, agents and when gateways
were last heard. **Proposes** states, new runs and paused schedules, as a person would.

    hw.evt.flow_run.state_changed --> changes --+
    deadline of a run's SLA passes -> deadlines +--> one row in `delivery` for each (action, event)
    agents of a config fall silent -> deadlines +

* *Once:* `delivery.dedup` is unique, so an event that comes twice, or comes to two replicas, owes an action once.
* *At least once:* deliveries are written in the transaction that handles the event, which is acknowledged after it. An
  event that JetStream lost is found in the ledger's histories by the sweep, under the same id.
* *SLAs:* an attempt of a run (it begins with each Scheduled state) breaks an SLA once. The run cannot move while its
  deadline is decided, so no run that has finished breaks one.
* *An outage of ours makes nobody late:* deadlines and agents are judged only over times in which the heartbeat service
  has confirmed that gateways are there.
* *Loops:* a run that an automation created carries the chain of hooks that led to it; after three, actions on runs
  stop.
* *NATS or PostgreSQL gone:* it is not ready, and goes on where it was when they are back.
* *Killed, paused or run twice:* a batch that was not acknowledged comes again; rows are locked by who judges them.

| to change | go to |
|---|---|
| what an action may be, and its limits | `domain/actions.py` |
| which hooks an event fires | `domain/hooks.py` |
| the variables of events, and their default messages | `domain/occurrences.py` |
| when an SLA is broken | `domain/slas.py`, `queries/deadlines_of.sql`, `queries/judge_agents.sql` |
| when a chain of automations stops | `domain/chains.py` |
| how rules are kept in memory | `rulesets.py` |
| how a state change becomes deliveries | `changes.py`, `queries/enqueue.sql` |
| which cloud hooks it calls | `cloud_hooks.py`, `queries/called_cloud_hooks.sql` |
| what lost events leave undone | `upkeep.py` |
| what it listens to | `subscribers.py` |
| what can be set | `settings.py` |
"""
