"""Enclaves that can never fit under the claim of their container: refused before anything runs.

Only where the size of the enclave is known: our own programs, and models. Of others the engine refuses the
enclave when the program makes it.
"""

from epcgroup.node.objects import Container, Manifest
from epcgroup.node.workload_models import enclave_pages_of, program_in
from epcgroup.state.floor import floor_pages
from epcgroup.state.series import SERIES
from epcgroup.units import PAGE_SIZE, format_size


def check_floors(manifest: Manifest, series: str = "fair", *, is_simulated: bool = False) -> None:
    """Refuse a manifest with an enclave whose own structures do not fit under the claim of its container.

    Args:
        manifest: what is to be run.
        series: under which; where nobody looks at the floor nothing is refused.
        is_simulated: models count; else commands alone.

    Raises:
        ManifestError: naming the first.
    """
    if not SERIES[series].admits_by_floor:
        return
    for pod in manifest.pods:
        for container in pod.all_containers:
            if container.claim_bytes:
                _check(container, container.claim_bytes, is_simulated=is_simulated)


def _check(container: Container, claim_bytes: int, *, is_simulated: bool) -> None:
    nr_pages = _modelled_pages(container) if is_simulated and container.model else _known_pages(container)
    if nr_pages and (floor := floor_pages(nr_pages)) * PAGE_SIZE > claim_bytes:
        size, least, claim = (_shown(count) for count in (nr_pages, floor, claim_bytes // PAGE_SIZE))
        raise container.error(
            f"its enclave of {size} needs at least {least} of EPC (SECS, version arrays, one page), its claim"
            f" is {claim}: claim more or make the enclave smaller"
        )


def _shown(nr_pages: int) -> str:
    return f"{nr_pages} pages ({format_size(nr_pages * PAGE_SIZE)})"


def _modelled_pages(container: Container) -> int:
    """Pages of the enclave that a model has; 0: not known."""
    model = container.model
    if model is None:
        return 0
    if model.program is not None:
        return model.program.nr_pages
    name, *arguments = model.words
    return enclave_pages_of(name, arguments, container.claim_bytes)


def _known_pages(container: Container) -> int:
    found = program_in(container.words(container.environment({})))
    return 0 if found is None else enclave_pages_of(*found)
