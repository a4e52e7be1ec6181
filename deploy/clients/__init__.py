"""Virtual environments of real, unmodified Prefect clients.

Purpose: Headwater's promise is to people who cannot change their client, so the demo and the
system tests drive the `prefect` package as PyPI has it, in an environment of its own. Its
dependencies are of 2020 to 2022 and cannot share an environment with ours.

    python -m deploy.clients                  which versions there are, and where they would go
    python -m deploy.clients 1.4.1            install (or reuse) one in the cache
    python -m deploy.clients 1.4.1 DEST       the same at a place of your choice

Where: `$HEADWATER_CLIENTS/prefect-<version>`, and without that variable
`~/.cache/headwater/clients/prefect-<version>` (`$XDG_CACHE_HOME` is honoured). A cache and not
`HEADWATER_DATA`, because the same environment serves every data folder and every checkout.

Guarantees
* Exact: every package is pinned by version and hash (`requirements/`) and installed with
  `--no-deps`; there is no resolver to surprise anyone in three years.
* Once: an environment is stamped with the digest of its recipe. The same recipe is reused
  without a question to the index; another recipe, an interrupted installation, or an interpreter
  that is gone rebuilds it. Two installers of one folder wait for each other.
* Polite: a folder that we did not make is never touched, unless it already holds exactly the
  recipe's packages, and then it is only stamped.
* Python 3.11, which every recipe was proven on: the running interpreter if it is one, else a
  `python3.11` on PATH, else one that `uv` brings.

The pins that decide whether an old client lives: `urllib3<2` (Core <= 0.15 passes
`Retry(method_whitelist=...)`), `pendulum<3`, `marshmallow<4` and the python-box of its year;
`pip<24.1` reads their wheels' metadata. Core <= 0.14 also needs the shim in `shims/`.

Without the package index: an error that says so, and nothing half-made that a later call would
take for whole. It does not upgrade clients, choose versions for you, or edit ~/.prefect.
"""
