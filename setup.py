"""Compiled parts of skmultireduce; all metadata is in pyproject.toml.

No flag here depends on the machine that builds: SIMD variants are chosen at run time
(see ``skmultireduce/_kernels/simd.h``). Extra flags, for sanitizers or comparisons, go
through the usual ``CFLAGS`` and ``LDFLAGS``.
"""

import os
import sys
import tempfile
from pathlib import Path

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

if int(setuptools.__version__.partition(".")[0]) < 77:
    sys.exit(
        f"skmultireduce: setuptools {setuptools.__version__} is too old, 77 or newer is needed. "
        "Run: python -m pip install --upgrade setuptools"
    )
try:
    from Cython.Build import cythonize
except ImportError:
    sys.exit(
        "skmultireduce: Cython 3.1 or newer is needed to compile. "
        "Run: python -m pip install --upgrade Cython"
    )

KERNELS = Path("skmultireduce") / "_kernels"

# Python's own flags ask for debug symbols: seven eighths of the modules' size, and a quarter
# of the compile time.
SYMBOLS = [] if "-g" in os.environ.get("CFLAGS", "") else ["-g0"]

# -fopenmp-simd enables "#pragma omp simd" and needs no OpenMP runtime. The other two drop
# promises about errno and floating point traps that no caller uses and that block
# vectorisation; results stay IEEE.
FLAGS = {
    "unix": ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"],
    "mingw32": ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"],
    "msvc": ["/O2", "/openmp:experimental"],
}


class BuildExt(build_ext):
    """Give each compiler the flags that it understands."""

    def finalize_options(self):
        """Compile the modules at the same time, if nothing else is asked for."""
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def check_compiler(self):
        """End with a sentence if there is no compiler, or Python's headers are missing."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        needed = {
            "int one;": "a C compiler is needed, and none works here. Install one, on Debian "
            "and Ubuntu: apt install gcc; on Fedora: dnf install gcc; on macOS: "
            "xcode-select --install",
            "#include <Python.h>": f"the headers of Python {version} are missing. Install "
            f"them, on Debian and Ubuntu: apt install python{version}-dev; on Fedora: "
            "dnf install python3-devel",
        }
        with tempfile.TemporaryDirectory() as folder:
            for code, message in needed.items():
                source = Path(folder) / "check.c"
                source.write_text(f"{code}\n")
                try:
                    self.compiler.compile([str(source)], output_dir=folder)
                except Exception:  # of which class, depends on setuptools
                    sys.exit(f"skmultireduce: {message}")

    def build_extensions(self):
        """Set the flags of the compiler in use, then build."""
        self.check_compiler()
        for extension in self.extensions:
            extension.extra_compile_args = list(FLAGS.get(self.compiler.compiler_type, []))
            if self.compiler.compiler_type != "msvc":
                extension.extra_compile_args += SYMBOLS
        super().build_extensions()


extensions = [
    Extension(
        f"skmultireduce._kernels.{path.stem}",
        [path.as_posix()],
        include_dirs=[KERNELS.as_posix()],
        depends=[header.as_posix() for header in sorted(KERNELS.glob("*.h"))],
    )
    for path in sorted(KERNELS.glob("*.pyx"))
]

setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        extensions,
        compiler_directives={
            "language_level": "3",
            # Plain built-in functions: a class for functions that can be introspected, in each
            # module, took an eighth of the modules' size.
            "binding": False,
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
            # Modules have no state but tables that are filled when they are imported; threads at
            # once are tested in tests/test_free_threading.py.
            "freethreading_compatible": True,
        },
    ),
)
