"""The cache of parsed and validated documents, and the parsing of new ones."""

from dataclasses import dataclass

from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate

from services.gateway.budget import Budget
from services.gateway.caches import BYTES_OF_TOKEN, BoundedCache
from services.gateway.reads import BadVariables
from services.gateway.weights import Weight, weigh

# The longest document of a client, a batch of inlined states, has a tenth of it.
TOKEN_LIMIT = 100_000
_QUICK = 1_000  # tokens of a known document whose plan is made at once, in some milliseconds


@dataclass(frozen=True, slots=True)
class Parsed:
    """A valid document. Validation is the most expensive step."""

    document: DocumentNode
    weight: Weight

    @property
    def is_quick(self) -> bool:
        """Whether its plan is small enough to be made on the loop."""
        return self.document.token_count <= _QUICK and not self.weight.introspects


class Documents:
    """Parses and validates each text once, as long as it is cached. For the thread."""

    def __init__(self, schema: GraphQLSchema, *, count: int, size: int) -> None:
        self._schema = schema
        self._known: BoundedCache[str, Parsed] = BoundedCache(count=count, size=size)

    def known(self, text: str) -> Parsed | None:
        """The document if it is cached. Parses nothing."""
        return self._known.get(text)

    def read(self, text: str, budget: Budget) -> Parsed:
        """The document; raises GraphQLError, or BadVariables with a list of them."""
        known = self._known.get(text)
        if known is not None:
            return known
        try:
            document = parse(text, max_tokens=TOKEN_LIMIT)
            budget.spend_tokens(document.token_count)
            weight = weigh(document)
            errors = validate(self._schema, document)
        except RecursionError:
            msg = "The document is nested too deeply to be read."
            raise GraphQLError(msg) from None
        if errors:
            raise BadVariables(errors)
        parsed = Parsed(document, weight)
        self._known.put(text, parsed, size=BYTES_OF_TOKEN * document.token_count + 2 * len(text))
        return parsed
