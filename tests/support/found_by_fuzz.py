"""What a fuzz found once, kept as lines of JSON beside its test and tried again for ever.

The inputs themselves are kept, not the seeds they were drawn from: a seed draws something else as soon as the
generator changes. A fuzz that fails prints the line to add.
"""

import json
from pathlib import Path
from typing import Any

DOCUMENTS = Path(__file__).parents[1] / "integration/gateway/reads/found_by_fuzz.jsonl"
"""`{"why": ..., "document": ..., "variables": ...}`"""
REQUESTS = Path(__file__).parents[1] / "integration/runtime/found_by_http_fuzz.jsonl"
"""`{"why": ..., "parcels": [...]}`; bytes as Latin-1 characters, each parcel written by itself."""


def found_in(path: Path) -> list[dict[str, Any]]:
    """What was found, oldest first."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def line_for(path: Path, **case: Any) -> str:
    """What a failure says: the line that keeps its input, and where it belongs."""
    line = json.dumps({"why": "what was wrong", **case})
    return f"Mend it, and add this line to {path.name}: {line}"
