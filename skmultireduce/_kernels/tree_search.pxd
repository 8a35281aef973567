# Scores of the children of a node, and the best of them: the inner part of open_nodes in
# tree.pyx.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from skmultireduce._kernels.simd cimport expit, scale, softmax

cdef extern from "simd_tree.h" nogil:
    void skm_linear(float* z, int64_t n)
    void skm_exp_hinge(float* z, int64_t n)
    void skm_below_one(float* z, int64_t n)
    void skm_from_half(float* out, const uint16_t* half, int64_t n)
    int skm_reaches(const float* z, int64_t n, float least, double* total)

# How scores of children become probabilities.
cdef enum:
    LOGISTIC = 0
    LINEAR = 1
    EXPONENTIAL = 2
    NORMALIZED = 3
    # To be added: divided by their sum over the children of a node.
    DIVIDED = 4

cdef enum:
    # Features that are looked up at a time.
    _PIECE = 64


cdef struct Chunk:
    # Features that occur, how many entries each has, and the entries: child and weight.
    const int32_t* features
    const uint8_t* sizes
    int64_t n_features
    const uint8_t* children
    const float* values


cdef inline void enter_chunk(const Chunk* chunk, int32_t* places, int32_t* starts) noexcept nogil:
    # places[feature] becomes i + 1 for the i-th feature of the chunk, whose entries are those
    # from starts[i] to starts[i + 1].
    cdef:
        int64_t i
        int32_t start = 0
    for i in range(chunk.n_features):
        places[chunk.features[i]] = <int32_t>i + 1
        starts[i] = start
        start += chunk.sizes[i]
    starts[chunk.n_features] = start


cdef inline void leave_chunk(const Chunk* chunk, int32_t* places) noexcept nogil:
    cdef int64_t i
    for i in range(chunk.n_features):
        places[chunk.features[i]] = 0


cdef inline void add_scores(
    const Chunk* chunk, const int32_t* places, const int32_t* starts,
    const float* data, const int32_t* indices, int64_t n, float* z,
) noexcept nogil:
    # First which features occur, without a branch on it, then their entries.
    cdef:
        int32_t hits[_PIECE]
        float hit_data[_PIECE]
        int64_t first, last, j, n_hits
        int32_t place, e
        float x
    first = 0
    while first < n:
        last = first + _PIECE if first + _PIECE < n else n
        n_hits = 0
        for j in range(first, last):
            place = places[indices[j]]
            hits[n_hits] = place
            hit_data[n_hits] = data[j]
            n_hits += place != 0
        for j in range(n_hits):
            place = hits[j]
            x = hit_data[j]
            for e in range(starts[place - 1], starts[place]):
                z[chunk.children[e]] += x * chunk.values[e]
        first = last


cdef inline void to_probabilities(float* z, int64_t n, int kind) noexcept nogil:
    cdef:
        float highest
        float total
        int64_t k
    if kind & 3 == LOGISTIC:
        expit(z, n)
    elif kind & 3 == LINEAR:
        skm_linear(z, n)
    elif kind & 3 == EXPONENTIAL:
        skm_exp_hinge(z, n)
    else:
        total = softmax(z, n, &highest)
        scale(z, n, 1 / total)
    if kind & DIVIDED:
        total = 0
        for k in range(n):
            total += z[k]
        if total > 0:
            scale(z, n, 1 / total)
    skm_below_one(z, n)


cdef inline bint is_worse(float p, int32_t number, float q, int32_t other) noexcept nogil:
    # Ties go to the smaller number.
    return p < q or (p == q and number > other)


cdef inline float least_of(const float* p, int32_t count, int32_t most) noexcept nogil:
    # What the best `most` take at least.
    return p[0] if count == most else -1


cdef inline void keep_best(
    float* p, int32_t* numbers, int32_t* count, int32_t most, float value, int32_t number,
) noexcept nogil:
    # Adds to the best `most`, in a heap whose first is the worst.
    cdef:
        int32_t i, child
    if count[0] < most:
        i = count[0]
        count[0] += 1
        while i > 0 and is_worse(value, number, p[(i - 1) // 2], numbers[(i - 1) // 2]):
            p[i] = p[(i - 1) // 2]
            numbers[i] = numbers[(i - 1) // 2]
            i = (i - 1) // 2
    else:
        if is_worse(value, number, p[0], numbers[0]):
            return
        i = 0
        while True:
            child = 2 * i + 1
            if child >= most:
                break
            if child + 1 < most and is_worse(
                p[child + 1], numbers[child + 1], p[child], numbers[child]
            ):
                child += 1
            if not is_worse(p[child], numbers[child], value, number):
                break
            p[i] = p[child]
            numbers[i] = numbers[child]
            i = child
    p[i] = value
    numbers[i] = number
