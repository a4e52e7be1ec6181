"""nats-py, as Headwater needs it.

* `workarounds.py`: what nats-py 2.16 gets wrong. It is removed with the release that fixes it: a test for each shows
  that the stock release still does it.
* `lean.py`: a shorter path for messages, for speed only (`make bench only=runs`).
* `address.py`: HEADWATER_NATS_URL, parsed.

Both use private members of nats-py. `tests/unit/runtime/test_nats_py.py` lists them with a digest of each method, and
`pyproject.toml` bounds the version.
"""
