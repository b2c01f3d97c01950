# mypy: disable-error-code="no-untyped-call, no-untyped-def, misc, attr-defined"
"""The state as compiled code sees it: six typed pointers, handed from rule to rule by one.

A subscript is one multiplication and one addition, since the length of a row is known when it is compiled; it
reads an int64 whatever the array holds, and must not be negative. Numba's own arrays are eight words each at
every call and thirty instructions a subscript until they are optimised: most of the time it took to compile.
Python, and runs without the compiler (``NUMBA_DISABLE_JIT=1``), see the named tuple of arrays.
"""

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    intrinsic,
    lower_builtin,
    make_attribute_wrapper,
    register_model,
    typeof_impl,
    unbox,
)
from numpy.typing import NDArray

from epcgroup.state import layout as at
from epcgroup.state.layout import State

#: Numba's types and LLVM's values, which have no types of their own here.
_Llvm = Any
_PLAIN = bool(config.DISABLE_JIT)


class PointerType(types.Type):
    """One array of the state, to compiled code: elements of ``dtype`` in rows of ``columns``."""

    def __init__(self, dtype: _Llvm, columns: int) -> None:
        self.dtype = dtype
        self.columns = columns
        super().__init__(f"{dtype}[{columns}]")


class StateType(types.Type):
    """A ``State``, to compiled code."""

    def __init__(self) -> None:
        super().__init__("State")


_POINTERS: Final = {
    "machine": PointerType(types.int64, 1),
    "groups": PointerType(types.int64, at.GROUP_COLUMNS),
    "enclaves": PointerType(types.int64, at.ENCLAVE_COLUMNS),
    "frames": PointerType(types.int32, at.FRAME_COLUMNS),
    "pages": PointerType(types.int32, 1),
    "marks": PointerType(types.uint8, 1),
}
STATE: Final = StateType()
_PAIR = types.UniTuple(types.int64, 2)


# What writes LLVM code runs only under the compiler: coverage is measured without it.


@register_model(PointerType)  # pragma: no cover
class _PointerModel(models.PrimitiveModel):
    def __init__(self, models_of: _Llvm, kind: PointerType) -> None:
        super().__init__(models_of, kind, ir.IntType(kind.dtype.bitwidth).as_pointer())


@register_model(StateType)  # pragma: no cover
class _StateModel(models.StructModel):
    """As an argument a pointer: the caller's own if it was given one state, else to a copy on its stack."""

    def __init__(self, models_of: _Llvm, kind: StateType) -> None:
        super().__init__(models_of, kind, list(_POINTERS.items()))

    def get_argument_type(self) -> _Llvm:
        return self.get_value_type().as_pointer()

    def as_argument(self, builder: _Llvm, value: _Llvm) -> _Llvm:
        given = getattr(builder.function, "given_state", None)
        if given is not None:
            return given
        with builder.goto_entry_block():
            place = builder.alloca(value.type)
        builder.store(value, place)
        return place

    def from_argument(self, builder: _Llvm, value: _Llvm) -> _Llvm:
        value.add_attribute("noalias")
        value.add_attribute("captures(none)")
        function = builder.function
        function.given_state = None if hasattr(function, "given_state") else value
        return builder.load(value)


for _name in _POINTERS:
    make_attribute_wrapper(StateType, _name, _name)


@typeof_impl.register(State)  # pragma: no cover
def _typeof(state: State, purpose: _Llvm) -> StateType:
    return STATE


@unbox(StateType)  # pragma: no cover
def _unbox(kind: StateType, value: _Llvm, c: _Llvm) -> NativeValue:
    result = cgutils.create_struct_proxy(kind)(c.context, c.builder)
    for index, (name, pointer) in enumerate(_POINTERS.items()):
        array = types.Array(pointer.dtype, 1 if pointer.columns == 1 else 2, "C")
        native = c.unbox(array, c.pyapi.tuple_getitem(value, index)).value
        setattr(result, name, c.context.make_array(array)(c.context, c.builder, native).data)
    return NativeValue(result._getvalue())


@infer_global(operator.getitem)  # pragma: no cover
class _TypeOfRead(AbstractTemplate):
    def generic(self, args: tuple[_Llvm, ...], names: _Llvm) -> _Llvm:
        if isinstance(args[0], PointerType):
            return signature(types.int64, args[0], types.int64 if args[0].columns == 1 else _PAIR)
        return None


@infer_global(operator.setitem)  # pragma: no cover
class _TypeOfWrite(AbstractTemplate):
    def generic(self, args: tuple[_Llvm, ...], names: _Llvm) -> _Llvm:
        if isinstance(args[0], PointerType):
            return signature(types.none, args[0], types.int64 if args[0].columns == 1 else _PAIR, types.int64)
        return None


def _place(builder: _Llvm, kind: PointerType, array: _Llvm, index: _Llvm) -> _Llvm:  # pragma: no cover
    """Return the address of an element."""
    if kind.columns > 1:
        row, column = cgutils.unpack_tuple(builder, index, 2)
        index = builder.add(builder.mul(row, ir.Constant(row.type, kind.columns)), column)
    return builder.gep(array, [index], inbounds=True)


@lower_builtin(operator.getitem, PointerType, types.Any)  # pragma: no cover
def _read(context: _Llvm, builder: _Llvm, sig: _Llvm, args: _Llvm) -> _Llvm:
    word = builder.load(_place(builder, sig.args[0], *args))
    return context.cast(builder, word, sig.args[0].dtype, types.int64)


@lower_builtin(operator.setitem, PointerType, types.Any, types.Any)  # pragma: no cover
def _write(context: _Llvm, builder: _Llvm, sig: _Llvm, args: _Llvm) -> _Llvm:
    word = context.cast(builder, args[2], types.int64, sig.args[0].dtype)
    builder.store(word, _place(builder, sig.args[0], *args[:2]))
    return context.get_dummy_value()


@intrinsic  # pragma: no cover
def _state(typing: _Llvm, buffer: _Llvm, offsets: _Llvm) -> _Llvm:
    def generate(context: _Llvm, builder: _Llvm, sig: _Llvm, args: _Llvm) -> _Llvm:
        builder.function.given_state = None  # from here on this function knows more than one
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        result = cgutils.create_struct_proxy(STATE)(context, builder)
        for name, offset in zip(_POINTERS, cgutils.unpack_tuple(builder, args[1]), strict=True):
            kind = context.get_value_type(_POINTERS[name])
            setattr(result, name, builder.bitcast(builder.gep(data, [offset]), kind))
        return result._getvalue()

    return STATE(buffer, types.UniTuple(types.int64, len(_POINTERS))), generate


@intrinsic  # pragma: no cover
def _clear(typing: _Llvm, array: _Llvm, row: _Llvm) -> _Llvm:
    def generate(context: _Llvm, builder: _Llvm, sig: _Llvm, args: _Llvm) -> _Llvm:
        first = builder.gep(args[0], [builder.mul(args[1], ir.Constant(args[1].type, array.columns))])
        nbytes = ir.Constant(args[1].type, array.columns * array.dtype.bitwidth // 8)
        cgutils.memset(builder, first, nbytes, 0)
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _plain_state(buffer: NDArray[np.uint8], offsets: tuple[int, ...]) -> State:
    return at.attach(buffer.data)[0]


def _plain_clear(array: NDArray[Any], row: int) -> None:
    array[row] = 0


#: ``state(buffer, offsets)``: the state over a buffer whose arrays begin at these bytes, in their order.
state: Callable[..., State] = _plain_state if _PLAIN else _state
#: ``clear(array, row)``: set a row of an array of the state to zero.
clear: Callable[..., None] = _plain_clear if _PLAIN else _clear
