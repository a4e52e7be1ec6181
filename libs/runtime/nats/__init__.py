"""nats-py, as Headwater needs it.

* `workarounds.py`: what nats-py 2.16 gets wrong. It goes with the release that mends it: a test for each shows that
  the stock release still does it.
* `lean.py`: a short way for messages, for speed alone (`make bench only=runs`).
* `address.py`: HEADWATER_NATS_URL, taken apart.

Both lean on private members of nats-py. `tests/unit/runtime/test_nats_py.py` lists them with a digest of each method,
and `pyproject.toml` bounds the version.
"""
