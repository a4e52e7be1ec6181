"""Virtual environments of real, unmodified Prefect clients.

Purpose: Headwater is for people who cannot change their client. So the demo and the system tests use the `prefect`
package from PyPI, in an environment of its own: its dependencies are of 2020 to 2022 and conflict with ours.

    python -m deploy.clients                  which versions there are, and where they would go
    python -m deploy.clients 1.4.1            install (or reuse) one in the cache
    python -m deploy.clients 1.4.1 DEST       the same in a folder of your choice

Where: `$HEADWATER_CLIENTS/prefect-<version>`, and without that variable
`~/.cache/headwater/clients/prefect-<version>` (`$XDG_CACHE_HOME` is honoured). A cache and not
`HEADWATER_DATA`, because the same environment serves every data folder and every checkout.

Guarantees
* Exact: every package is pinned by version and hash (`requirements/`) and installed with `--no-deps`; no resolver can
  change the result in three years.
* Once: an environment is stamped with the digest of its recipe. With the same recipe it is reused without access to the
  index; another recipe, an interrupted installation, or a missing interpreter causes a rebuild. Two installers of one
  folder wait for each other.
* Safe: a folder that we did not make is never changed, unless it already has exactly the recipe's packages; then it is
  only stamped.
* Python 3.11, with which every recipe was tested: the running interpreter if it has that version, else a `python3.11`
  on PATH, else one from `uv`.

The pins that an old client needs: `urllib3<2` (Core <= 0.15 passes `Retry(method_whitelist=...)`), `pendulum<3`,
`marshmallow<4` and the python-box of its year; `pip<24.1` reads their wheels' metadata. Core <= 0.14 also needs the
shim in `shims/`.

Without the package index: an error that says so, and no half-made environment that a later call would use. It does not
upgrade clients, choose versions for you, or edit ~/.prefect.
"""
