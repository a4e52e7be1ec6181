"""Everything that crosses a process boundary: subjects, streams, messages, states, refusals. pydantic and the stdlib
only.

Readers ignore unknown fields; fields are only ever added, with a default. A changed meaning is a new class and subject.
"""
