"""The cache of mutation plans."""

from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from services.gateway.caches import BYTES_OF_COMPILED_TOKEN, BoundedCache
from services.gateway.mutation_plans.compiler import compile_plan
from services.gateway.mutation_plans.plan import MutationPlan
from services.gateway.reads.documents import Lifted, lift, slots_of


@dataclass(frozen=True, slots=True)
class Found:
    """A plan, and the literals of this request."""

    plan: MutationPlan
    literals: tuple[Any, ...]

    def fit(self, variables: dict[str, Any] | None) -> list[Any]:
        """The arguments of its fields; raises NotCoveredError. Nothing has happened then."""
        return self.plan.fit(self.literals, variables or {})


class MutationPlans:
    """Compiles each document once, as long as it is cached; `compiles=False` compiles none."""

    def __init__(
        self, schema: GraphQLSchema, *, count: int, size: int, compiles: bool = True
    ) -> None:
        self._schema = schema
        self._compiles = compiles
        self._plans: BoundedCache[tuple[str, str | None], MutationPlan] = BoundedCache(
            count=count, size=size
        )

    def __len__(self) -> int:
        return len(self._plans)

    def find(self, lifted: Lifted, name: str | None) -> Found | None:
        """The plan of the document, or of one that differs in its literals only. Compiles nothing."""
        plan = self._plans.get((lifted.skeleton, name))
        if plan is not None:
            return Found(plan, lifted.literals)
        plan = self._plans.get((lifted.text, name))
        return None if plan is None else Found(plan, ())

    def remember(
        self, text: str, name: str | None, document: DocumentNode, node: OperationDefinitionNode
    ) -> Found | None:
        """Compile for the next request; this one goes through graphql-core, whose answer is the same.

        The plan is answered too, if there is one, also if it is too large to be kept.
        """
        if not self._compiles:
            return None
        lifted = lift(text)
        slots = slots_of(lifted, document)
        key = (text if slots is None else lifted.skeleton, name)
        plan = self._plans.get(key)
        if plan is None:
            plan = compile_plan(self._schema, document, node, slots)
            if plan is None:
                return None
            size = BYTES_OF_COMPILED_TOKEN * document.token_count + 2 * len(text)
            self._plans.put(key, plan, size=size)
        return Found(plan, () if slots is None else lifted.literals)
