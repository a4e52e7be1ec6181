"""The import contracts of `pyproject.toml` fail when they should: each is shown an import that it must not let pass."""

import itertools
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.application.use_cases import _register_contract_types, read_user_options
from importlinter.configuration import configure
from importlinter.domain.contract import Contract, registry

from libs.contracts.services import SERVICES

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("libs", "services", "deploy")

FORBIDDEN: list[tuple[str, str, str]] = [
    ("services-independent", "services.lazarus.store", "services.runs.settings"),
    ("services-independent", "services.gateway.context", "services.registry.domain.flows"),
    *(
        ("services-independent", f"services.{one}.app", f"services.{other}.settings")
        for one, other in itertools.pairwise((*SERVICES, SERVICES[0]))
    ),
    ("rooms-of-a-service", "services.scheduler.planner", "services.scheduler.app"),
    ("rooms-of-a-service", "services.scheduler.store", "services.scheduler.loops"),
    ("rooms-of-a-service", "services.registry.domain.flows", "services.registry.store"),
    ("rooms-of-a-service", "services.registry.project_store", "services.registry.unit_of_work"),
    ("rooms-of-a-service", "services.registry.store", "services.registry.group_store"),
    ("rooms-of-a-service", "services.runs.handlers", "services.runs.subscribers"),
    ("rooms-of-a-service", "services.heartbeat.subscribers", "services.heartbeat.loops"),
    ("libs-below-services", "libs.runtime.bus.rpc", "services.runs.settings"),
    ("libs-below-services", "libs.schema.roles", "deploy.nats_users"),
    ("services-below-deploy", "services.gateway.app", "deploy.keys"),
    ("agent-alone", "libs.agent.wire", "libs.contracts.agents"),
    ("runs-ledger-below", "services.runs.ledger.journal", "services.runs.dispatch.leases"),
    ("runs-dispatch-below", "services.runs.dispatch.service", "services.runs.app"),
    ("pure-domain", "services.runs.domain.transitions", "asyncpg"),
    ("pure-domain", "libs.contracts.base", "nats"),
    # By a detour: what a rule imports does I/O itself.
    ("pure-domain", "services.lazarus.domain", "libs.runtime.database"),
    ("gateway-layers", "services.gateway.graphql.schema", "services.gateway.http"),
    ("gateway-layers", "services.gateway.store.keys", "services.gateway.identity"),
    ("reads-layers", "services.gateway.reads.values", "services.gateway.reads.compiler"),
]
"""A contract, and who must not import what under it. The circles are below."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    configure()
    options = read_user_options(str(CHECKOUT / "pyproject.toml"))
    _register_contract_types(options)
    return {
        each["id"]: registry.get_contract_class(each["type"])(
            name=each["name"], session_options=options.session_options, contract_options=each
        )
        for each in options.contracts_options
    }


def is_kept(contract: Contract, graph: grimp.ImportGraph) -> bool:
    return contract.check(deepcopy(graph), verbose=False).kept


def with_import(graph: grimp.ImportGraph, importer: str, imported: str) -> grimp.ImportGraph:
    assert {importer, imported} <= graph.modules, "a module of this list is not there any more"
    changed = deepcopy(graph)
    changed.add_import(importer=importer, imported=imported)
    return changed


def test_all_of_them_are_kept_today(
    graph: grimp.ImportGraph, contracts: dict[str, Contract]
) -> None:
    assert [name for name, each in contracts.items() if not is_kept(each, graph)] == []


def test_each_of_them_is_shown_to_fail(contracts: dict[str, Contract]) -> None:
    assert {name for name, _, _ in FORBIDDEN} | {"no-circles"} == set(contracts)


@pytest.mark.parametrize(("name", "importer", "imported"), FORBIDDEN)
def test_an_import_that_a_contract_forbids_breaks_it(
    graph: grimp.ImportGraph,
    contracts: dict[str, Contract],
    name: str,
    importer: str,
    imported: str,
) -> None:
    assert not is_kept(contracts[name], with_import(graph, importer, imported))


def packages_of(graph: grimp.ImportGraph) -> list[str]:
    """The packages in which one module imports another beside it."""
    return sorted(each for each in graph.modules if next(siblings(graph, each), None) is not None)


def siblings(graph: grimp.ImportGraph, package: str) -> Iterator[tuple[str, str]]:
    """Pairs of the package's direct children, of which the first imports the second."""
    if package.partition(".")[0] not in PACKAGES or graph.is_module_squashed(package):
        return
    for one, other in itertools.permutations(sorted(graph.find_children(package)), 2):
        if graph.direct_import_exists(importer=one, imported=other, as_packages=True):
            yield one, other


def test_an_import_back_makes_a_circle_in_whatever_package_it_is(
    graph: grimp.ImportGraph, contracts: dict[str, Contract]
) -> None:
    packages = packages_of(graph)
    unseen = []
    for package in packages:
        one, other = next(siblings(graph, package))
        if is_kept(contracts["no-circles"], with_import(graph, other, one)):
            unseen.append((package, one, other))

    assert {f"services.{name}" for name in SERVICES} <= set(packages)
    assert {"libs.runtime", "libs.runtime.bus", "services.runs.ledger"} <= set(packages)
    assert unseen == []
