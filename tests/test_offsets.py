"""Row offsets of more than 2**31 values, in memory that is reserved but never touched."""

import mmap
import sys

import numpy as np
import pytest

from skmultireduce._kernels import linear

# MAP_NORESERVE of Linux, a name that Python has since 3.12.
_NORESERVE = 0x4000


@pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 2**32, reason="needs memory that is not committed"
)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_scores_of_rows_beyond_2_31_values(index):
    first = 2**31 + 11
    n_values = first + 5

    def reserve(dtype):
        n_bytes = n_values * np.dtype(dtype).itemsize
        try:
            buffer = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | _NORESERVE)
        except OSError:
            pytest.skip("no room for the reserved memory")
        return np.frombuffer(buffer, dtype=dtype)

    data, indices = reserve(np.float32), reserve(index)
    data[first:] = [1, 2, 3, 4, 5]
    indices[first:] = [0, 2, 1, 0, 2]
    indptr = np.array([first, first + 2, n_values], dtype=np.int64)
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    out = np.empty((2, 2), dtype=np.float32)
    linear.linear_scores(
        weights, np.zeros(2, dtype=np.float32), 1.0, data, indices, indptr, 0, 2, 0, 2, out
    )
    np.testing.assert_array_equal(
        out, [weights[0] + 2 * weights[2], 3 * weights[1] + 4 * weights[0] + 5 * weights[2]]
    )
