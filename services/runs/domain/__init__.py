"""The ledger's rules: frozen facts in, a closed union out. No I/O, no clock, no ids of their own.

| module | question |
|---|---|
| `states` | Is this JSON a state, and what does the ledger store of it? |
| `transitions` | May this run take this state, and what is the run after it? |
| `creation` | What is in a new run: labels, parameters, run config? |
| `safeguards` | What to do with a zombie, a proposal of Lazarus, a cancellation without effect? |
| `deaths` | What to do with a Running run whose process has ended? |
| `concurrency_limits` | Which runs may start under a concurrency limit, and what to do with the others? |
| `queue` | Which runs may an agent with these labels see? |
"""
