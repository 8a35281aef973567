"""Compiled parts of skmultireduce; all metadata is in pyproject.toml.

No flag here depends on the machine that builds: SIMD variants are chosen at run time
(see ``skmultireduce/_kernels/simd.h``). Extra flags, for sanitizers or comparisons, go
through the usual ``CFLAGS`` and ``LDFLAGS``.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

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

    def build_extensions(self):
        """Set the flags of the compiler in use, then build."""
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
            "wraparound": False,
            "cdivision": True,
            "embedsignature": True,
        },
    ),
)
