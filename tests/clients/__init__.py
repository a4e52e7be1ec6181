"""The matrix of real clients: every generation of Prefect Core, in each mode it has, through every scenario.

`matrix.py` says which cells there are and why one is absent, `inside` holds what runs in the client's own environment,
`story.py` plays it, `test_matrix.py` looks at what came of it, `checklist.py` maps the wire's demands to tests.
"""

import pytest

# Its functions are the assertions of test_matrix.py, and shall tell as much when they fail.
pytest.register_assert_rewrite("tests.clients.scenarios")
