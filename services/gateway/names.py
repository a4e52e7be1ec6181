"""Names that people give to keys and tenants: one line of readable text. Pure.

They are shown in lists, and the audit trail shows a key's name as the actor. So a name must not be a page long, break
the line, or change the direction of the text beside it.
"""

import unicodedata
from uuid import UUID

NAME_LIMIT = 255  # characters

ANYBODY = UUID("3f0c7d52-8a44-4b8e-9a51-5d1f0c2b9e07")
"""The user of every caller when keys are off: `prefect auth create-key` asks for the user of its key."""

NAMELESS = {ANYBODY: "anonymous"}
"""The name of users without a name in any tenant; `anonymous` is in the audit trail, too."""

_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the following text."""
_BREAKS = frozenset(("Cc", "Zl", "Zp"))


def name_refusal(field: str, name: str) -> str | None:
    """Why a name is invalid, as a sentence that names the field, or None."""
    if not name.strip() or len(name) > NAME_LIMIT:
        return f"{field} must have 1 to {NAME_LIMIT} characters, and has {len(name)}"
    odd = next((character for character in name if _is_odd(character)), None)
    if odd is not None:
        return f"{field} must be one line of text, and has the control character U+{ord(odd):04X}"
    return None


def one_line(name: str) -> str:
    """A name from before these rules, as one line of bounded length."""
    return "".join("\ufffd" if _is_odd(character) else character for character in name[:NAME_LIMIT])


def _is_odd(character: str) -> bool:
    return unicodedata.category(character) in _BREAKS or character in _TURNS
