"""The ledger's rules: frozen facts in, a closed union out. No I/O, no clock, no ids of their own.

| module | question |
|---|---|
| `states` | Is this JSON a state, and what does the ledger keep of it? |
| `transitions` | May this run take this state, and what does the run look like then? |
| `creation` | What is in a new run: labels, parameters, run config? |
| `safeguards` | What becomes of a zombie, of a run that Lazarus proposes, of a cancellation that nobody obeys? |
| `limits` | Who may start under a concurrency limit, and what becomes of who may not? |
| `queue` | Which runs may an agent with these labels see? |
"""
