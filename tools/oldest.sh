#!/bin/sh
# Run the tests with the oldest versions that pyproject.toml declares, then with the newest.
# Usage: tools/oldest.sh [oldest|newest] [pytest arguments]; PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
which=${1:-oldest}
[ $# -gt 0 ] && shift
python=${PYTHON:-python3.11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $which in
oldest)
    set -- "$@" -p no:cacheprovider
    build='setuptools==77.* Cython==3.1.* wheel'
    run='numpy==2.0.* scipy==1.15.* scikit-learn==1.9.0 pandas==2.2.* matplotlib==3.9.* rich==13.*'
    # What the oldest matplotlib and scikit-learn were released with: newer ones make them warn.
    run="$run pyparsing==3.1.* pytest==8.*"
    ;;
newest)
    set -- "$@" -p no:cacheprovider
    build='setuptools Cython wheel'
    run='numpy scipy scikit-learn pandas matplotlib rich pytest'
    ;;
*)
    echo "first argument: oldest or newest" >&2
    exit 2
    ;;
esac
"$python" -m venv "$work/venv"
# shellcheck disable=SC2086
"$work/venv/bin/pip" install -q --upgrade $build $run hypothesis
"$work/venv/bin/pip" list | grep -iE '^(numpy|scipy|scikit-learn|cython|setuptools|pandas) '
cp -r setup.py pyproject.toml conftest.py LICENSE skmultireduce tests "$work/"
[ ! -f README.md ] || cp README.md "$work/"
rm -f "$work"/skmultireduce/_kernels/*.so "$work"/skmultireduce/_kernels/*.c
cd "$work"
"$work/venv/bin/python" setup.py -q build_ext --inplace
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} "$work/venv/bin/python" -m pytest -q "$@"
