"""Which Headwater this is. A release changes all of it together."""

VERSION = "0.1.0"
RELEASED = "2026-11-30T00:00:00+00:00"
"""When `VERSION` was released."""
BUILD = f"{VERSION}+{RELEASED[:10]}"
