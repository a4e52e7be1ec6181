"""Which Headwater this is. A release changes all of it together."""

VERSION = "0.2.0"
RELEASED = "2026-12-01T00:00:00+00:00"
"""When `VERSION` was released."""
BUILD = f"{VERSION}+{RELEASED[:10]}"
