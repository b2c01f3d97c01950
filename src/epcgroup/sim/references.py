"""Which pages a program refers to next: draws of its components into its window of ``references``."""

from typing import Final

import numpy as np

from epcgroup.compiled.jit import inlined, nth
from epcgroup.sim import draws
from epcgroup.sim import layout as at
from epcgroup.sim.layout import Arrays
from epcgroup.sim.scenario import KINDS, LOOP, PHASES, SCAN, ZIPF

_ZIPF: Final = KINDS.index(ZIPF)
_SCAN: Final = KINDS.index(SCAN)
_LOOP: Final = KINDS.index(LOOP)
_PHASES: Final = KINDS.index(PHASES)
#: Draws of a Zipf component until one falls into the part in use; then any page of it will do.
_PATIENCE: Final = 64
_CERTAIN: Final = 1 << 32


@inlined
def _next_bits(a: Arrays, task: int) -> np.uint64:
    state = draws.next_state(np.uint64(a.tasks[nth(task), at.RANDOM]))
    a.tasks[nth(task), at.RANDOM] = np.int64(state)
    return draws.mixed(state)


@inlined
def _nr_in_use(a: Arrays, component: int, elapsed: int) -> int:
    """Return the pages of a component in use: all, or so many as have grown."""
    size = a.components[nth(component), at.NR_PAGES]
    growth = a.components[nth(component), at.GROWTH]
    grown = a.components[nth(component), at.GROWS_FROM]
    if growth:
        grown += elapsed // growth
    return int(min(size, grown))


@inlined
def _zipf(a: Arrays, task: int, component: int, nr_places: int) -> int:
    """Draw a place of the first ``nr_places``; those not in use yet are passed over."""
    size = a.components[nth(component), at.NR_PAGES] // a.components[nth(component), at.SPAN]
    table = a.components[nth(component), at.TABLE]
    for _ in range(_PATIENCE):
        bits = _next_bits(a, task)
        row = nth(table + draws.below(bits, size))
        below = draws.low_half(bits) < np.int64(a.tables[row, at.LIMIT])
        place = np.int64(a.tables[row, at.BELOW if below else at.ABOVE])
        if place < nr_places:
            return int(place)
    return draws.below(_next_bits(a, task), nr_places)


@inlined
def _walk(a: Arrays, component: int, in_use: int, again: bool) -> int:
    """Return where a scan or loop stands and move it on; a scan stays at the end."""
    span = a.components[nth(component), at.SPAN]
    page = a.components[nth(component), at.WALKED]
    if page + span > in_use:
        page = 0 if again else max(page - span, 0)
    a.components[nth(component), at.WALKED] = page + span
    return int(page)


@inlined
def _moving(a: Arrays, task: int, component: int, elapsed: int) -> int:
    """Draw from the working set of the present phase: the sets follow each other, round and round."""
    size = a.components[nth(component), at.NR_PAGES]
    nr_set = a.components[nth(component), at.SET_PAGES]
    span = a.components[nth(component), at.SPAN]
    phase = elapsed // a.components[nth(component), at.PHASE]
    place = draws.below(_next_bits(a, task), nr_set // span)
    return int((phase % size * nr_set + place * span) % size)


@inlined
def _draw(a: Arrays, task: int, component: int, clock: int) -> int:
    """Return the page in its area at which a draw of a component begins."""
    kind = a.components[nth(component), at.KIND]
    elapsed = clock - a.tasks[nth(task), at.STARTED]
    if kind == _PHASES:
        return _moving(a, task, component, elapsed)
    in_use = _nr_in_use(a, component, elapsed)
    if kind in (_SCAN, _LOOP):
        return _walk(a, component, in_use, kind == _LOOP)
    span = a.components[nth(component), at.SPAN]
    nr_places = in_use // span
    if kind == _ZIPF:
        return int(_zipf(a, task, component, nr_places) * span)
    return int(draws.below(_next_bits(a, task), nr_places) * span)


@inlined
def _choose(a: Arrays, task: int) -> int:
    """Return the component of the next draw: each in turn, or one by weight."""
    component = a.tasks[nth(task), at.FIRST_COMPONENT]
    number = a.tasks[nth(task), at.NR_COMPONENTS]
    if a.tasks[nth(task), at.IN_ORDER]:
        return int(component + number - a.tasks[nth(task), at.DRAWS_LEFT])
    if number > 1:
        point = draws.low_half(_next_bits(a, task))
        while point >= a.components[nth(component), at.THRESHOLD]:
            component += 1
    return int(component)


@inlined
def _is_left_out(a: Arrays, task: int, component: int) -> bool:
    """Return whether a component that is drawn by chance is not drawn this time."""
    chance = a.components[nth(component), at.CHANCE]
    return bool(chance < _CERTAIN and draws.low_half(_next_bits(a, task)) >= chance)


@inlined
def draw(a: Arrays, task: int, clock: int) -> None:
    """Fill the window of a task with what its request still wants to draw, as much as there is room for."""
    row = nth(task)
    first = a.tasks[row, at.WINDOW]
    end = first
    limit = first + a.tasks[row, at.ROOM]
    while a.tasks[row, at.DRAWS_LEFT]:
        component = _choose(a, task)
        span = a.components[nth(component), at.SPAN]
        if end + span > limit:
            break
        if a.tasks[row, at.IN_ORDER] and _is_left_out(a, task, component):
            a.tasks[row, at.DRAWS_LEFT] -= 1
            continue
        size = a.components[nth(component), at.NR_PAGES]
        area = a.components[nth(component), at.FIRST_PAGE]
        page = _draw(a, task, component, clock)
        for _ in range(span):
            a.references[nth(end)] = np.uint32(area + page)
            end += 1
            page = page + 1 if page + 1 < size else 0
        a.tasks[row, at.DRAWS_LEFT] -= 1
    a.tasks[row, at.POSITION] = first
    a.tasks[row, at.END] = end


@inlined
def populate(a: Arrays, task: int) -> None:
    """Fill the window of a task with the next pages to touch before its first request."""
    row = nth(task)
    first = a.tasks[row, at.WINDOW]
    page = a.tasks[row, at.POPULATE_NEXT]
    number = min(a.tasks[row, at.ROOM], a.tasks[row, at.POPULATE_END] - page)
    for index in range(number):
        a.references[nth(first + index)] = np.uint32(page + index)
    a.tasks[row, at.POPULATE_NEXT] = page + number
    a.tasks[row, at.POSITION] = first
    a.tasks[row, at.END] = first + number
