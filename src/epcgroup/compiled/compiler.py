# mypy: disable-error-code="no-untyped-call, no-untyped-def, misc, attr-defined"
"""How the rules become machine code: typed one by one, optimised once, as the program of an entry.

Numba optimises a function with all it calls, again at every level above it: with 130 small rules most of a
cold start went into code that nobody runs. Here a rule called by a rule stays a *fragment*, code as it was
lowered; a function called from Python is a *program*, which links its fragments and is optimised once. Only
programs have machine code and a place in the cache.
"""

from typing import Any, Final

from llvmlite.binding import Linkage
from numba import _dynfunc, types
from numba.core import codegen, compiler, typed_passes, untyped_passes
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typing.context import Context

#: Numba's and LLVM's objects, which have no types of their own here.
_Any = Any
#: What ``_Types`` remembers: from a function of Numba and types of arguments to a signature.
_OPERATORS: Final[dict[tuple[_Any, _Any], _Any]] = {}


# What runs only under the compiler is left out of coverage, which is measured without it.


class Fragment(codegen.JITCodeLibrary):  # pragma: no cover
    """The code of one rule as it was lowered; machine code is made of programs only."""

    is_inlined = False

    def add_llvm_module(self, module: _Any) -> None:
        """Keep the code as it is."""
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def finalize(self) -> None:
        """Nothing is optimised; programs may hold copies."""
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
                if self.is_inlined:
                    function.add_function_attribute("alwaysinline")
        self._finalized = True

    def _get_module_for_linking(self) -> _Any:
        self._ensure_finalized()
        return self._final_module


class Program(codegen.JITCodeLibrary):  # pragma: no cover
    """A function called from Python with all fragments below it."""

    def add_linking_library(self, library: _Any) -> None:
        """Link a fragment and everything it calls, each once."""
        if library in self._linking_libraries:
            return
        super().add_linking_library(library)
        if isinstance(library, Fragment):
            for each in library._linking_libraries:
                self.add_linking_library(each)

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr:
                function.linkage = "internal"
        # Once: Numba goes over it before, for references, and looks for vectors; rules have neither. Where it
        # matters they say what is inlined (``jit.inlined``): a higher level takes longer and gains nothing.
        options = {"opt": 2, "loop_vectorize": False, "slp_vectorize": False}
        manager, builder = self._codegen._module_pass_manager(**options)
        manager.run(self._final_module, builder)


class _LowerFragment(typed_passes.NativeLowering):  # pragma: no cover
    _name = "lower_fragment"
    is_inlined = False

    def run_pass(self, state: _Any) -> bool:
        code = Fragment(state.targetctx.codegen(), state.func_id.func_qualname)
        code.is_inlined = self.is_inlined
        state["library"] = code
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        # What callers know the rule by; it cannot be called from Python.
        name, module = lowered.fndesc.qualname, lowered.fndesc.lookup_module()
        handle = _dynfunc.make_function(module, name, "", 0, lowered.env, (code,))
        state.targetctx.insert_user_function(handle, lowered.fndesc, [code])
        state["cr"] = lowered._replace(cfunc=handle)
        return True


class _LowerInlined(_LowerFragment):  # pragma: no cover
    _name = "lower_inlined"
    is_inlined = True


class _LowerProgram(typed_passes.NativeLowering):  # pragma: no cover
    _name = "lower_program"

    def run_pass(self, state: _Any) -> bool:
        code = Program(state.targetctx.codegen(), state.func_id.func_qualname)
        code.enable_object_caching()
        state["library"] = code
        super().run_pass(state)
        return True


#: The passes of Numba that rules need: they hold no closures, no generators, no expressions of arrays.
_PASSES: Final = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.ReconstructSSA,
    untyped_passes.DeadBranchPrune,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
)


class _Types(Context):  # pragma: no cover
    """The typing context it is made of, with a memory: rules ask for the same few operators all the time."""

    def __init__(self, context: _Any) -> None:
        self.__dict__ = context.__dict__

    def resolve_function_type(self, func: _Any, args: _Any, kws: _Any) -> _Any:
        if kws or not isinstance(func, types.Function):
            return super().resolve_function_type(func, args, kws)
        known = _OPERATORS.get((func, args))
        if known is None:
            known = _OPERATORS[func, args] = super().resolve_function_type(func, args, kws)
        return known


def _pipeline(lowering: type) -> type:
    class Pipeline(compiler.CompilerBase):
        def __init__(self, context: _Any, *others: _Any) -> None:  # pragma: no cover
            super().__init__(context, *others)
            self.state.typingctx = _Types(context)

        def define_pipelines(self) -> list[PassManager]:  # pragma: no cover
            manager = PassManager("epcgroup")
            for each in (*_PASSES, lowering, typed_passes.NoPythonBackend):
                manager.add_pass(each, each.__name__)
            manager.finalize()
            return [manager]

    register_pass(mutates_CFG=True, analysis_only=False)(lowering)
    return Pipeline


FRAGMENT: Final = _pipeline(_LowerFragment)
INLINED: Final = _pipeline(_LowerInlined)
PROGRAM: Final = _pipeline(_LowerProgram)
