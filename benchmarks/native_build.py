"""Compiles the C files of ``benchmarks/native`` once, into a cache folder of the user."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

NATIVE = Path(__file__).parent / "native"


def have_compiler() -> bool:
    """Return whether a C compiler is there; without it the C side of a benchmark is left out."""
    return shutil.which("gcc") is not None


def compiled(
    source: str, *, shared: bool = False, libraries: tuple[str, ...] = (), prelude: str = ""
) -> Path:
    """Compile ``native/SOURCE`` with gcc -O3 unless that was done before, and return the binary's path.

    ``prelude`` is C text that is put before the source (a generated header).

    Raises:
        subprocess.CalledProcessError: the compiler refused; its message went to stderr.
    """
    text = NATIVE / source
    key = hashlib.sha256(text.read_bytes() + repr((shared, libraries, prelude)).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "epcgroup" / "native"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{text.stem}-{key}{'.so' if shared else ''}"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        flags = ["-shared", "-fPIC"] if shared else []
        if prelude:
            included = target.with_suffix(".h")
            included.write_text(prelude)
            flags += ["-include", str(included)]
        subprocess.run(
            [
                "gcc",
                "-O3",
                "-march=native",
                "-Wall",
                "-Wextra",
                "-pthread",
                *flags,
                str(text),
                "-o",
                str(partial),
            ]
            + [f"-l{name}" for name in libraries],
            check=True,
        )
        partial.replace(target)
    return target


def touch_library() -> ctypes.CDLL:
    """Return the library of ``touch.c`` with its argument types set."""
    library = ctypes.CDLL(str(compiled("touch.c", shared=True)))
    library.touch_pages.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_void_p,
    ]
    library.touch_pages.restype = ctypes.c_uint64
    library.stress.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_void_p,
    ]
    library.stress.restype = ctypes.c_int
    return library
