"""Counting of scores for the exact search of cutoffs.

Scores come as the bits of float32 or float64 (a uint32 or uint64 view) and are compared
by an order-preserving integer image, so one integer code serves both types, every distinct
float is told apart, and a histogram over the leading bits of the image is a histogram over
the value with a constant relative width, whatever the range of the scores.

The search (`skmultireduce._cutoff`) needs two passes: `add_histogram` counts all scores in
2**17 (float32) or 2**20 (float64) buckets; the buckets that can hold the optimum are then
known, and `add_bins` counts just their scores, between the distinct scores of the positives
in them, by bisection. Nothing is sorted but the scores of the positives.

Measured on 2e7 float32 scores (a logistic of normal numbers), one core of an AMD EPYC:
`add_histogram` 27 ms, `add_bins` 20 ms with 3 full buckets of 50 candidates each,
`add_label_bins` 0.33 s with 100 candidates a label; `np.sort` takes 0.9 s, `np.argsort`
3.7 s. Plain loops as they are here; bisection without a branch on the data, because the
outcome of each comparison is a coin toss.

The whole search of 20,000 x 1,000 float32 scores that are there takes 12 to 13 times one read
of the array (a maximum), 1/90 of one argsort (`benchmarks/kernels.py --search`, other processes
beside it; 46 times and 1/30 in 0.1.0). Buckets are found apart from the counting, and scores
that are near no optimum are passed over 32 at a time: these loops vectorise, and so does the
one over both sides of the cut.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from skmultireduce._kernels.buffers cimport (
    FLOAT32,
    FLOAT64,
    FLOATS,
    INT32,
    INT64,
    UINT8,
    UINT32,
    UINT64,
    Array,
    integers,
    take,
)

cdef extern from "simd_scores.h" nogil:
    enum:
        SKM_CHUNK
    uint32_t skm_image_float(uint32_t bits)
    uint64_t skm_image_double(uint64_t bits)
    int64_t skm_next_within_float(
        const uint32_t* bits, int64_t start, int64_t n, uint32_t low, uint32_t width)
    int64_t skm_next_within_double(
        const uint64_t* bits, int64_t start, int64_t n, uint64_t low, uint64_t width)
    int64_t skm_cut_row_float(const float* scores, int64_t n, float value, float* sides)
    int64_t skm_cut_row_double(const double* scores, int64_t n, double value, double* sides)

cdef enum:
    BUCKETS = 128

ctypedef fused bits_t:
    uint32_t
    uint64_t

ctypedef fused count_t:
    int64_t
    double

ctypedef fused float_t:
    float
    double

cdef struct Scores:
    # Bits of scores (n_rows, n_labels), and weights of rows; NULL: all 1.
    const void* bits
    int type
    int64_t n_rows
    int64_t n_labels
    const double* weight


cdef Scores take_scores(object bits, object weight) except *:
    cdef:
        Scores scores
        Array found = take(bits, b"bits", UINT32 | UINT64, 2, False)
    scores.bits = found.data
    scores.type = found.type
    scores.n_rows, scores.n_labels = found.shape[0], found.shape[1]
    scores.weight = <const double*>take(weight, b"weight", FLOAT64, 1, False).data
    return scores


cdef inline bits_t image(bits_t bits) noexcept nogil:
    if bits_t is uint32_t:
        return skm_image_float(bits)
    else:
        return skm_image_double(bits)


cdef inline bits_t bits_of_infinity(bits_t like) noexcept nogil:
    if bits_t is uint32_t:
        return <uint32_t> 0x7F800000
    else:
        return (<uint64_t> 0x7FF) << 52


cdef inline int64_t find_buckets(
    const bits_t* bits, int64_t n, int shift, bits_t* buckets
) noexcept nogil:
    # Apart from the counting, so that it vectorises; the number of NaNs. In vectors of 128
    # bits alone: what is stored in longer ones is read back later.
    cdef:
        int64_t j
        int32_t nan = 0
        bits_t b, twice_infinity = bits_of_infinity(<bits_t> 0) << 1
    for j in range(n):
        b = bits[j]
        nan += <bits_t> (b << 1) > twice_infinity
        buckets[j] = image(b) >> shift
    return nan


cdef inline int64_t next_within(
    const bits_t* bits, int64_t start, int64_t n, bits_t low, bits_t width
) noexcept nogil:
    if bits_t is uint32_t:
        return skm_next_within_float(bits, start, n, low, width)
    else:
        return skm_next_within_double(bits, start, n, low, width)


cdef inline int64_t cut_row(
    const float_t* scores, int64_t n, float_t value, float_t* sides
) noexcept nogil:
    if float_t is float:
        return skm_cut_row_float(scores, n, value, sides)
    else:
        return skm_cut_row_double(scores, n, value, sides)


cdef int64_t count_buckets(
    const bits_t* bits, const Scores* scores, int shift, count_t* histogram
) noexcept nogil:
    cdef:
        int64_t i, j, n, start, nan = 0, n_labels = scores.n_labels
        count_t w = 1
        bits_t[BUCKETS] buckets
    for i in range(scores.n_rows):
        if scores.weight is not NULL:
            w = <count_t> scores.weight[i]
        start = 0
        while start < n_labels:
            n = min(<int64_t> BUCKETS, n_labels - start)
            nan += find_buckets(bits + i * n_labels + start, n, shift, buckets)
            for j in range(n):
                histogram[buckets[j]] += w
            start += n
    return nan


def add_histogram(bits, weight, int shift, histogram):
    """Count scores by ``image >> shift``, 1 each or the row's weight; return the NaNs."""
    cdef:
        Scores scores = take_scores(bits, weight)
        Array counts = take(histogram, b"histogram", INT64 | FLOAT64, 1, True)
        int64_t nan
    with nogil:
        if scores.type == UINT32:
            if counts.type == INT64:
                nan = count_buckets(
                    <const uint32_t*> scores.bits, &scores, shift, <int64_t*> counts.data)
            else:
                nan = count_buckets(
                    <const uint32_t*> scores.bits, &scores, shift, <double*> counts.data)
        elif counts.type == INT64:
            nan = count_buckets(
                <const uint64_t*> scores.bits, &scores, shift, <int64_t*> counts.data)
        else:
            nan = count_buckets(
                <const uint64_t*> scores.bits, &scores, shift, <double*> counts.data)
    return nan


cdef inline Py_ssize_t last_not_above(
    const bits_t *candidates, Py_ssize_t n, bits_t key
) noexcept nogil:
    # Largest index whose candidate is <= key; candidates[0] always is.
    cdef Py_ssize_t first = 0, half
    while n > 1:
        half = n >> 1
        first += half * (candidates[first + half] <= key)
        n -= half
    return first


cdef void count_bins(
    const bits_t* bits, const Scores* scores, int shift, const uint8_t* alive,
    const int32_t* first, const bits_t* candidates, int64_t n_candidates, count_t* counts,
) noexcept nogil:
    cdef:
        int64_t i, j, k, start, stop, n_labels = scores.n_labels
        count_t w = 1
        bits_t key, bucket, low, width
        const bits_t* row
    if n_candidates == 0:
        return
    # From the lower edge of the first alive bucket to the upper edge of the last one.
    low = candidates[0]
    width = ((candidates[n_candidates - 1] >> shift) << shift) - low
    width += (<bits_t> 1 << shift) - 1
    for i in range(scores.n_rows):
        if scores.weight is not NULL:
            w = <count_t> scores.weight[i]
        row = bits + i * n_labels
        start = next_within(row, 0, n_labels, low, width)
        while start < n_labels:
            stop = min(start + SKM_CHUNK, n_labels)
            for j in range(start, stop):
                key = image(row[j])
                bucket = key >> shift
                if <bits_t> (key - low) <= width and alive[bucket]:
                    k = first[bucket]
                    k += last_not_above(&candidates[k], first[bucket + 1] - k, key)
                    counts[k] += w
            start = next_within(row, stop, n_labels, low, width)


def add_bins(bits, weight, int shift, alive, first, candidates, counts):
    """Count the scores of the alive buckets between neighbouring candidates.

    Bucket ``b`` has the candidates ``first[b]:first[b + 1]``, ascending, the first of them
    its lower edge. ``counts[j]`` grows by the scores in ``[candidates[j],
    candidates[j + 1])`` of the same bucket.
    """
    cdef:
        Scores scores = take_scores(bits, weight)
        const uint8_t* alive_ = <const uint8_t*> take(alive, b"alive", UINT8, 1, False).data
        const int32_t* first_ = <const int32_t*> take(first, b"first", INT32, 1, False).data
        Array keys = take(candidates, b"candidates", scores.type, 1, False)
        Array sums = take(counts, b"counts", INT64 | FLOAT64, 1, True)
    with nogil:
        if scores.type == UINT32:
            if sums.type == INT64:
                count_bins(
                    <const uint32_t*> scores.bits, &scores, shift, alive_, first_,
                    <const uint32_t*> keys.data, keys.size, <int64_t*> sums.data)
            else:
                count_bins(
                    <const uint32_t*> scores.bits, &scores, shift, alive_, first_,
                    <const uint32_t*> keys.data, keys.size, <double*> sums.data)
        elif sums.type == INT64:
            count_bins(
                <const uint64_t*> scores.bits, &scores, shift, alive_, first_,
                <const uint64_t*> keys.data, keys.size, <int64_t*> sums.data)
        else:
            count_bins(
                <const uint64_t*> scores.bits, &scores, shift, alive_, first_,
                <const uint64_t*> keys.data, keys.size, <double*> sums.data)


cdef void count_label_bins(
    const bits_t* bits, const Scores* scores, const int32_t* labels, const int64_t* first,
    const bits_t* candidates, count_t* counts,
) noexcept nogil:
    cdef:
        int64_t i, j, k, label, n_labels = scores.n_labels
        count_t w = 1
    for i in range(scores.n_rows):
        if scores.weight is not NULL:
            w = <count_t> scores.weight[i]
        for j in range(n_labels):
            label = j if labels is NULL else labels[i * n_labels + j]
            k = first[label]
            k += last_not_above(
                &candidates[k], first[label + 1] - k, image(bits[i * n_labels + j]))
            counts[k] += w


cdef void add_label_bins_of(
    object bits, object weight, const int32_t* labels, object first, object candidates,
    object counts,
) except *:
    cdef:
        Scores scores = take_scores(bits, weight)
        const int64_t* first_ = integers(first, b"first")
        const void* keys = take(candidates, b"candidates", scores.type, 1, False).data
        Array sums = take(counts, b"counts", INT64 | FLOAT64, 1, True)
    with nogil:
        if scores.type == UINT32:
            if sums.type == INT64:
                count_label_bins(
                    <const uint32_t*> scores.bits, &scores, labels, first_,
                    <const uint32_t*> keys, <int64_t*> sums.data)
            else:
                count_label_bins(
                    <const uint32_t*> scores.bits, &scores, labels, first_,
                    <const uint32_t*> keys, <double*> sums.data)
        elif sums.type == INT64:
            count_label_bins(
                <const uint64_t*> scores.bits, &scores, labels, first_,
                <const uint64_t*> keys, <int64_t*> sums.data)
        else:
            count_label_bins(
                <const uint64_t*> scores.bits, &scores, labels, first_,
                <const uint64_t*> keys, <double*> sums.data)


def add_label_bins(bits, weight, first, candidates, counts):
    """Count the scores of each label between the label's own candidates.

    As `add_bins`, with labels in place of buckets; the first candidate of a label is 0.
    """
    add_label_bins_of(bits, weight, NULL, first, candidates, counts)


def add_candidate_bins(bits, labels, weight, first, candidates, counts):
    """As `add_label_bins` for scores of some labels of each row, whose numbers are given."""
    cdef Array found = take(labels, b"labels", INT32, 2, False)
    add_label_bins_of(bits, weight, <const int32_t*> found.data, first, candidates, counts)


cdef void cut(
    const float_t* scores, int64_t n_rows, int64_t n_labels, const float_t* value,
    float_t* lowest, float_t* below, float_t* highest, int64_t* predicted,
) noexcept nogil:
    cdef:
        int64_t i, j, n
        float_t s, infinity = <float_t> INFINITY
    for i in range(n_rows):
        n = 0
        for j in range(n_labels):
            s = scores[i * n_labels + j]
            n += s >= value[j]
            below[j] = s if s < value[j] and s > below[j] else below[j]
            lowest[j] = s if s > -infinity and s < lowest[j] else lowest[j]
            highest[j] = s if s < infinity and s > highest[j] else highest[j]
        predicted[i] = n


def add_cut(scores, value, lowest, below, highest, predicted):
    """What a cut at ``scores >= value`` leaves on both sides.

    Updates, for each label, the lowest and the highest finite score and the highest one
    below the cut; `predicted` gets the number of labels of each row.
    """
    cdef:
        Array found = take(scores, b"scores", FLOATS, 2, False)
        int type = found.type
        const void* value_ = take(value, b"value", type, 1, False).data
        void* lowest_ = take(lowest, b"lowest", type, 1, True).data
        void* below_ = take(below, b"below", type, 1, True).data
        void* highest_ = take(highest, b"highest", type, 1, True).data
        int64_t* sizes = <int64_t*> take(predicted, b"predicted", INT64, 1, True).data
    with nogil:
        if type == FLOAT32:
            cut(
                <const float*> found.data, found.shape[0], found.shape[1],
                <const float*> value_, <float*> lowest_, <float*> below_, <float*> highest_,
                sizes)
        else:
            cut(
                <const double*> found.data, found.shape[0], found.shape[1],
                <const double*> value_, <double*> lowest_, <double*> below_,
                <double*> highest_, sizes)


cdef void cut_candidates(
    const float_t* scores, const int32_t* labels, int64_t n_rows, int64_t n_columns,
    const float_t* value, float_t* lowest, float_t* below, float_t* highest,
    int64_t* predicted,
) noexcept nogil:
    cdef:
        int64_t i, j, label, n
        float_t s, infinity = <float_t> INFINITY
    for i in range(n_rows):
        n = 0
        for j in range(i * n_columns, (i + 1) * n_columns):
            s, label = scores[j], labels[j]
            n += s >= value[label]
            if s < value[label] and s > below[label]:
                below[label] = s
            if s > -infinity and s < lowest[label]:
                lowest[label] = s
            if s < infinity and s > highest[label]:
                highest[label] = s
        predicted[i] = n


def add_candidate_cut(scores, labels, value, lowest, below, highest, predicted):
    """As `add_cut` for scores of some labels of each row, whose numbers are given."""
    cdef:
        Array found = take(scores, b"scores", FLOATS, 2, False)
        int type = found.type
        const int32_t* labels_ = <const int32_t*> take(labels, b"labels", INT32, 2, False).data
        const void* value_ = take(value, b"value", type, 1, False).data
        void* lowest_ = take(lowest, b"lowest", type, 1, True).data
        void* below_ = take(below, b"below", type, 1, True).data
        void* highest_ = take(highest, b"highest", type, 1, True).data
        int64_t* sizes = <int64_t*> take(predicted, b"predicted", INT64, 1, True).data
    with nogil:
        if type == FLOAT32:
            cut_candidates(
                <const float*> found.data, labels_, found.shape[0], found.shape[1],
                <const float*> value_, <float*> lowest_, <float*> below_, <float*> highest_,
                sizes)
        else:
            cut_candidates(
                <const double*> found.data, labels_, found.shape[0], found.shape[1],
                <const double*> value_, <double*> lowest_, <double*> below_,
                <double*> highest_, sizes)


cdef void cut_at(
    const float_t* scores, int64_t n_rows, int64_t n_columns, float_t value, float_t* sides,
    int64_t* predicted,
) noexcept nogil:
    cdef int64_t i
    for i in range(n_rows):
        predicted[i] = cut_row(scores + i * n_columns, n_columns, value, sides)


def add_common_cut(scores, value, sides, predicted):
    """As `add_cut` for one cut of all labels.

    `value` is an array with the cut; `sides` has the lowest score, the highest one below the
    cut and the highest one, of all labels.
    """
    cdef:
        Array found = take(scores, b"scores", FLOATS, 2, False)
        int type = found.type
        const void* value_ = take(value, b"value", type, 1, False).data
        void* sides_ = take(sides, b"sides", type, 1, True).data
        int64_t* sizes = <int64_t*> take(predicted, b"predicted", INT64, 1, True).data
    with nogil:
        if type == FLOAT32:
            cut_at(
                <const float*> found.data, found.shape[0], found.shape[1],
                (<const float*> value_)[0], <float*> sides_, sizes)
        else:
            cut_at(
                <const double*> found.data, found.shape[0], found.shape[1],
                (<const double*> value_)[0], <double*> sides_, sizes)


cdef void insert_highest(
    const float_t* scores, int64_t n_rows, int64_t n_labels, int32_t* out, int64_t k
) noexcept nogil:
    cdef:
        int64_t i, j, p
        float_t s
        const float_t* row
        int32_t* best
    for i in range(n_rows):
        row = scores + i * n_labels
        best = out + i * k
        for j in range(n_labels):
            s = row[j]
            if j >= k:
                if not s > row[best[k - 1]]:
                    continue
                p = k - 1
            else:
                p = j
            while p > 0 and s > row[best[p - 1]]:
                best[p] = best[p - 1]
                p -= 1
            best[p] = <int32_t> j


def top_labels(scores, out):
    """Labels of the highest scores of each row, best first; ties: lower label first.

    By insertion: quick as long as `out` has few columns.
    """
    cdef:
        Array found = take(scores, b"scores", FLOATS, 2, False)
        Array labels = take(out, b"out", INT32, 2, True)
    with nogil:
        if found.type == FLOAT32:
            insert_highest(
                <const float*> found.data, found.shape[0], found.shape[1],
                <int32_t*> labels.data, labels.shape[1])
        else:
            insert_highest(
                <const double*> found.data, found.shape[0], found.shape[1],
                <int32_t*> labels.data, labels.shape[1])
