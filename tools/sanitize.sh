#!/bin/sh
# Run the kernels' tests under AddressSanitizer and UBSan, or those of threads under
# ThreadSanitizer.
# Usage: tools/sanitize.sh [--threads] [pytest arguments]; PYTHON names an interpreter with the test
# requirements. Works on a copy, so that the builds in the tree stay as they are.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
kind=memory
if [ "${1:-}" = --threads ]; then
    kind=threads
    shift
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r setup.py pyproject.toml LICENSE skmultireduce tests "$work/"
[ ! -f README.md ] || cp README.md "$work/"
cd "$work"
if [ $# -eq 0 ] && [ $kind = threads ]; then
    set -- tests/test_free_threading.py tests/test_threads.py
elif [ $# -eq 0 ]; then
    set -- tests/test_linear_kernel.py tests/test_linear.py tests/test_cutoff.py \
        tests/test_model_selection.py tests/test_offsets.py tests/test_hostile.py \
        tests/test_neural.py tests/test_threads.py tests/test_tree.py \
        tests/test_dense_kernel.py tests/test_text_kernel.py
    [ ! -f tests/test_mlp_kernel.py ] || set -- "$@" tests/test_mlp_kernel.py
fi
export OMP_NUM_THREADS=1

build() {
    rm -rf build skmultireduce/_kernels/*.so skmultireduce/_kernels/*.c
    CFLAGS="$1 -fno-omit-frame-pointer -g -O1" LDFLAGS="$1" \
        "$python" setup.py -q build_ext --inplace
}

if [ $kind = threads ]; then
    echo "== ThreadSanitizer"
    build -fsanitize=thread
    # Only what these modules read and write is looked at: the interpreter and NumPy are not
    # built with the sanitizer, but it sees their locks.
    LD_PRELOAD=$(gcc -print-file-name=libtsan.so) TSAN_OPTIONS=halt_on_error=1:exitcode=66 \
        "$python" -m pytest -q -p no:cacheprovider -p no:xdist --no-header --capture=sys "$@"
    exit
fi
echo "== AddressSanitizer and UBSan"
build "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
# The interpreter leaks by design, and is not built with the sanitizer, hence the preload. A
# report ends the process: pytest must not keep what is written to file descriptors.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
    "$python" -m pytest -q -p no:cacheprovider --no-header --capture=sys "$@"

