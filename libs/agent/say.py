"""The agent's own log: one line per event, as text or as JSON."""

import json
import sys
from dataclasses import dataclass

from .clock import utc_now


@dataclass(frozen=True, slots=True)
class Say:
    """Writes lines to standard error, where logs go."""

    as_json: bool = False

    def __call__(self, text: str, **fields: object) -> None:
        """Write it; the fields are in the JSON only, the text has the important ones."""
        now = utc_now()
        if self.as_json:
            found = {"timestamp": now.isoformat(), "event": text} | {
                key: str(value) for key, value in fields.items()
            }
            line = json.dumps(found)
        else:
            line = f"{now.astimezone():%H:%M:%S}  {text}"
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
