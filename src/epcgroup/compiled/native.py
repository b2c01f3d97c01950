"""What compiled code needs beyond Numba's own vocabulary: arrays laid over a buffer, words of text, prefetch.

Each has a plain twin for runs without the compiler (``NUMBA_DISABLE_JIT=1``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

#: Numba's types and LLVM's values, which have no types of their own here.
_Llvm = Any
_PLAIN = bool(config.DISABLE_JIT)  # type: ignore[attr-defined]


def _plain_table(buffer: NDArray[np.uint8], first: int, rows: int, columns: int, dtype: type) -> NDArray[Any]:
    nbytes = rows * columns * np.dtype(dtype).itemsize
    return buffer[first : first + nbytes].view(dtype).reshape((rows, columns))


def _plain_row(buffer: NDArray[np.uint8], first: int, size: int, dtype: type) -> NDArray[Any]:
    return buffer[first : first + size * np.dtype(dtype).itemsize].view(dtype)


def _plain_word(data: NDArray[np.uint8], place: int) -> np.uint64:
    return np.uint64(int.from_bytes(data[int(place) : int(place) + 8], "little"))


def _plain_prefetch(array: NDArray[Any], index: int) -> None:
    """Nothing: a hint to the processor."""


# What writes LLVM code runs only under the compiler: coverage is measured without it.


def _lay(  # pragma: no cover
    context: _Llvm, builder: _Llvm, kind: _Llvm, buffer: _Llvm, first: _Llvm, shape: list[_Llvm]
) -> _Llvm:
    """Return an array struct of type ``kind`` over the bytes of ``buffer`` from ``first`` on."""
    from numba.np.arrayobj import populate_array  # here: half of Numba hangs on it

    result = context.make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [itemsize]
    for extent in reversed(shape[1:]):
        strides.insert(0, builder.mul(extent, strides[0]))
    data = builder.bitcast(builder.gep(buffer.data, [first]), result.data.type)
    layout: _Llvm = populate_array
    layout(result, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
    return result._getvalue()


@intrinsic  # pragma: no cover
def _table(typing: _Llvm, buffer: _Llvm, first: _Llvm, rows: _Llvm, columns: _Llvm, dtype: _Llvm) -> _Llvm:
    kind = types.Array(dtype.dtype, 2, "C")

    def generate(context: _Llvm, builder: _Llvm, signature: _Llvm, args: _Llvm) -> _Llvm:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        return _lay(context, builder, kind, source, args[1], [args[2], args[3]])

    return kind(buffer, types.intp, types.intp, types.intp, dtype), generate


@intrinsic  # pragma: no cover
def _row(typing: _Llvm, buffer: _Llvm, first: _Llvm, size: _Llvm, dtype: _Llvm) -> _Llvm:
    kind = types.Array(dtype.dtype, 1, "C")

    def generate(context: _Llvm, builder: _Llvm, signature: _Llvm, args: _Llvm) -> _Llvm:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        return _lay(context, builder, kind, source, args[1], [args[2]])

    return kind(buffer, types.intp, types.intp, dtype), generate


@intrinsic  # pragma: no cover
def _word(typing: _Llvm, data: _Llvm, place: _Llvm) -> _Llvm:
    def generate(context: _Llvm, builder: _Llvm, signature: _Llvm, args: _Llvm) -> _Llvm:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.bitcast(builder.gep(source.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(address, align=1)

    return types.uint64(data, types.uintp), generate


@intrinsic  # pragma: no cover
def _prefetch(typing: _Llvm, array: _Llvm, index: _Llvm) -> _Llvm:
    def generate(context: _Llvm, builder: _Llvm, signature: _Llvm, args: _Llvm) -> _Llvm:
        kind = signature.args[0]
        is_array = isinstance(kind, types.Array)
        data = context.make_array(kind)(context, builder, args[0]).data if is_array else args[0]
        word = ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        function = ir.FunctionType(ir.VoidType(), [address.type, word, word, word])
        hint = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        builder.call(hint, [address, word(1), word(3), word(1)])  # for writing, into every cache, data
        return context.get_dummy_value()

    return types.void(array, types.uintp), generate


#: ``table(buffer, first, rows, columns, dtype)``: a C-contiguous (rows, columns) array over the bytes of
#: ``buffer`` from ``first`` on. Numba's reshape calls a helper that costs more than an operation.
table: Callable[..., NDArray[Any]] = _plain_table if _PLAIN else _table
#: ``row(buffer, first, size, dtype)``: the same with one dimension.
row: Callable[..., NDArray[Any]] = _plain_row if _PLAIN else _row
#: ``word(data, place)``: the little-endian uint64 that begins at any byte of a contiguous uint8 array; its
#: eight bytes must be there.
word: Callable[..., np.uint64] = _plain_word if _PLAIN else _word
#: ``prefetch(array, index)``: fetch the element of a row, or of the state's pages or
#: marks, at an unsigned index; any index is harmless.
prefetch: Callable[..., None] = _plain_prefetch if _PLAIN else _prefetch
