"""The annotations ``epcgroup.io/...`` of a pod.

When it starts and ends, how its programs refer to pages, what is done when nothing under its limit can leave.

What must not live here: the grammar of a model (``models.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from epcgroup.errors import InvalidDurationError
from epcgroup.node.fields import Field, did_you_mean
from epcgroup.node.models import parse_model
from epcgroup.node.objects import Container
from epcgroup.node.quantity import parse_duration_ns
from epcgroup.state.limit import OOM_NAMES

_PREFIX: Final = "epcgroup.io/"
START: Final = _PREFIX + "start"
END: Final = _PREFIX + "end"
MODEL: Final = _PREFIX + "model"
OOM: Final = _PREFIX + "oom"
_OF_CONTAINER: Final = MODEL + "."
_ALLOWED: Final = (START, END, OOM, MODEL)


def check_name(key: str, field: Field) -> None:
    """Refuse an annotation that is a misspelling of one of ours; a foreign one passes.

    Raises:
        ManifestError: with the name that was probably meant.
    """
    if key in _ALLOWED or key.startswith(_OF_CONTAINER):
        return
    prefix, slash, _ = key.partition("/")
    near = did_you_mean(prefix + "/", [_PREFIX], 0.85) if slash else ""
    if key.startswith(_PREFIX) or near:
        hint = did_you_mean(key, _ALLOWED, 0.5)
        raise field.error(
            f"no annotation of that name is known: allowed are {START}, {END}, {OOM}, {MODEL}"
            f" and {_OF_CONTAINER}CONTAINER{hint}",
            show_value=False,
        )


def times(given: Mapping[str, Field]) -> tuple[int, int | None]:
    """Return when a pod starts and ends, in nanoseconds from the start of the run; None: with the run.

    Raises:
        ManifestError: no duration, or the end before the start.
    """
    start_ns = _duration(given[START]) if START in given else 0
    if END not in given:
        return start_ns, None
    end_ns = _duration(given[END])
    if end_ns <= start_ns:
        raise given[END].error(f"the end must come after {START}")
    return start_ns, end_ns


def _duration(field: Field) -> int:
    try:
        return parse_duration_ns(field.text())
    except InvalidDurationError as error:
        raise field.error("is " + str(error).partition(" is ")[2]) from error


def oom_policy(given: Mapping[str, Field]) -> str:
    """Return what ``epc.oom`` of a pod's groups is to be: one of ``OOM_NAMES``.

    Raises:
        ManifestError: another word.
    """
    if OOM not in given:
        return OOM_NAMES[0]
    word = given[OOM].text()
    if word not in OOM_NAMES:
        raise given[OOM].error(f"allowed are {', '.join(OOM_NAMES)}{did_you_mean(word, OOM_NAMES)}")
    return word


def with_models(given: Mapping[str, Field], containers: Sequence[Container]) -> tuple[Container, ...]:
    """Return the containers of a pod, each with the model that an annotation gives it.

    Raises:
        ManifestError: an annotation holds no model, or does not say whose it is.
    """
    names = [container.name for container in containers]
    for key, field in given.items():
        if key == MODEL and len(names) > 1:
            raise field.error(
                f"whose model? The pod has the containers {', '.join(names)}: {_OF_CONTAINER}{names[0]}",
                show_value=False,
            )
        if key.startswith(_OF_CONTAINER) and (name := key.removeprefix(_OF_CONTAINER)) not in names:
            raise field.error(
                f"the pod has no container {name!r}, but {', '.join(names)}{did_you_mean(name, names)}",
                show_value=False,
            )
    return tuple(_with_model(given, container, len(names)) for container in containers)


def _with_model(given: Mapping[str, Field], container: Container, nr_containers: int) -> Container:
    field = given.get(_OF_CONTAINER + container.name)
    if field is None and nr_containers == 1:
        field = given.get(MODEL)
    return container if field is None else replace(container, model=parse_model(field, container.claim_bytes))
