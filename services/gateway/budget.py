"""The limits of one HTTP request, over all of its operations.

Limits of a document are in `reads.document_limits`; without these, a batch could use a hundred times as much.
"""

from dataclasses import dataclass

from services.gateway.reads.statement import too_much

CHARACTERS = 2_000_000  # of all documents; values belong into variables
TOKENS = 100_000  # of documents that are not in the cache
FIELDS = 20_000  # selected in all operations; the web UI's largest batch has a tenth of it
SECONDS = 10.0  # of the thread


@dataclass(slots=True)
class Budget:
    """Spent by the operations of one request; raises GraphQLError with a sentence that names the limit."""

    characters: int = CHARACTERS
    tokens: int = TOKENS
    fields: int = FIELDS
    seconds: float = SECONDS

    def spend_characters(self, count: int) -> None:
        """Before a document is parsed."""
        self.characters -= count
        if self.characters < 0:
            msg = f"The documents of one request have more than {CHARACTERS} characters; send values as variables."
            raise too_much(msg)

    def spend_tokens(self, count: int) -> None:
        """After a new document was parsed."""
        self.tokens -= count
        if self.tokens < 0:
            msg = f"The new documents of one request have more than {TOKENS} tokens; send them one by one."
            raise too_much(msg)

    def spend_fields(self, count: int) -> None:
        """Before an operation runs."""
        self.fields -= count
        if self.fields < 0:
            msg = f"The operations of one request select more than {FIELDS} fields; send them one by one."
            raise too_much(msg)

    def spend_seconds(self, count: float) -> None:
        """After work in the thread."""
        self.seconds -= count

    def check_seconds(self) -> None:
        """Before work in the thread."""
        if self.seconds < 0:
            msg = f"The documents of one request took more than {SECONDS:g} s to read; send them one by one."
            raise too_much(msg)
