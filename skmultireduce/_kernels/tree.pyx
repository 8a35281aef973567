"""Label trees: clusters of labels, training of their nodes, and search for the best labels.

Design
------
A tree's nodes are numbered level by level, so that the children of a node, and those of a
level, follow each other. One call trains many nodes, or blocks of at most CHUNK children of
one, as tasks: small nodes cost no Python, large ones are shared by threads, and W of a task,
(features that its rows have, children), stays small. Each task copies its rows, with their
features renumbered, and forgets them; the order of the rows is a function of (seed, node,
epoch), so that results depend neither on tasks nor on threads.

Of W, entries below a magnitude are left out. The rest is a chunk: the features that occur,
how many entries each has, and (child, weight) for each entry: child in one byte.

Scores are computed node by node, for all rows of a block that open it: its chunk is entered
into an array over all features once, where each row then looks its own features up. The best
nodes of a row are in a heap with ties by number, so that no order of work changes a bit.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.math cimport fabs, sqrt
from libc.string cimport memcpy, memset

from skmultireduce._kernels.buffers cimport FLOAT32, FLOAT64, INT32, INT64, UINT64, UINT8, take
from skmultireduce._kernels.simd cimport scale
from skmultireduce._kernels.tree_clusters cimport Vectors, put_largest_first, split
from skmultireduce._kernels.tree_search cimport (
    Chunk,
    DIVIDED as _DIVIDED,
    EXPONENTIAL,
    LINEAR,
    LOGISTIC,
    NORMALIZED,
    add_scores,
    enter_chunk,
    keep_best,
    least_of,
    leave_chunk,
    skm_from_half,
    skm_reaches,
    to_probabilities,
)
from skmultireduce._kernels.tree_training cimport Problem, Rates, train_problem

# Codes of the functions from scores to probabilities.
PROBABILITY_CODES = {
    "logistic": LOGISTIC,
    "linear": LINEAR,
    "exponential": EXPONENTIAL,
    "softmax": NORMALIZED,
}

# To be added to one of them: divided by their sum over the children of a node.
DIVIDED = _DIVIDED

cdef enum:
    _CHUNK = 64
    # Scores that are computed at a time.
    _SCORES = 1 << 20

# Children of a chunk, at most.
CHUNK = _CHUNK
# Room that open_nodes needs for what it finds beyond a threshold, at least, beside one row.
SCORES_AT_A_TIME = _SCORES


# ------------------------------------------------------------------- clusters
def label_vectors(
    rows, label_start, label_rows, row_weight, int64_t first_label, int64_t last_label,
    double smallest, int64_t most, work, out,
):
    """Unit vectors of labels: the sums of their rows, without small entries.

    Parameters
    ----------
    rows : tuple
        data (float32), indices (int32), indptr (int64) of X in CSR form.
    label_start, label_rows : int64 array of shape (n_labels + 1,), int32 array
        The rows of each label.
    row_weight : float32 array of shape (n_rows,) or (0,)
        Empty: all 1.
    first_label, last_label : int
        Labels of this call.
    smallest : float
        Entries below this, relative to the largest of a label, are left out.
    most : int
        Entries of a label, at most: its largest.
    work : tuple
        Zeros (float32), and float32 and int32 room, each for all features; zeros stay.
    out : tuple
        Gets the number (int32) of entries of each label, indices (int32), data (float32).
    """
    cdef:
        const float* data = <const float*>take(rows[0], b"data", FLOAT32, 1, False).data
        const int32_t* indices = <const int32_t*>take(rows[1], b"indices", INT32, 1, False).data
        const int64_t* indptr = <const int64_t*>take(rows[2], b"indptr", INT64, 1, False).data
        const int64_t* starts = <const int64_t*>take(label_start, b"starts", INT64, 1, False).data
        const int32_t* members = <const int32_t*>take(label_rows, b"members", INT32, 1, False).data
        const float* weights = <const float*>take(row_weight, b"weights", FLOAT32, 1, False).data
        float* sums = <float*>take(work[0], b"sums", FLOAT32, 1, True).data
        float* sizes = <float*>take(work[1], b"sizes", FLOAT32, 1, True).data
        int32_t* touched = <int32_t*>take(work[2], b"touched", INT32, 1, True).data
        int32_t* counts = <int32_t*>take(out[0], b"counts", INT32, 1, True).data
        int32_t* out_indices = <int32_t*>take(out[1], b"out_indices", INT32, 1, True).data
        float* out_data = <float*>take(out[2], b"out_data", FLOAT32, 1, True).data
        int64_t label, i, j, n, kept, used = 0, row
        int32_t feature
        float weight, value, largest
        double square
    with nogil:
        for label in range(first_label, last_label):
            n = 0
            for i in range(starts[label], starts[label + 1]):
                row = members[i]
                weight = 1 if weights is NULL else weights[row]
                for j in range(indptr[row], indptr[row + 1]):
                    feature = indices[j]
                    value = weight * data[j]
                    if sums[feature] == 0 and value != 0:
                        touched[n] = feature
                        n += 1
                    # What cancels out stays in the list, and is cleared with it.
                    sums[feature] += value
                    if sums[feature] == 0:
                        sums[feature] = <float>1e-30
            largest = 0
            for i in range(n):
                sizes[i] = <float>fabs(sums[touched[i]])
                if sizes[i] > largest:
                    largest = sizes[i]
            kept = n
            if n > most:
                put_largest_first(sizes, touched, n, most)
                kept = most
            square = 0
            for i in range(kept):
                if sizes[i] >= smallest * largest:
                    square += <double>sizes[i] * sizes[i]
            counts[label - first_label] = 0
            for i in range(kept):
                if sizes[i] >= smallest * largest and square > 1e-30:
                    out_indices[used] = touched[i]
                    out_data[used] = <float>(sums[touched[i]] / sqrt(square))
                    used += 1
                    counts[label - first_label] += 1
            for i in range(n):
                sums[touched[i]] = 0


def cluster_labels(
    vectors, labels, bounds, int64_t low, int64_t high, uint64_t seed, work,
):
    """Put labels of similar vectors into the same part, by balanced 2-means of 2-means.

    Parameters
    ----------
    vectors : tuple
        indptr (int64), indices (int32), data (float32) of unit vectors.
    labels : int32 array
        The labels of part i are those from bounds[i] to bounds[i + 1]; changed in place.
    bounds : int64 array
    low, high : int
        Split what is in the parts low:high.
    seed : int
    work : tuple
        Zeros (float32) of shape (n_features * 2,), room (float32) for all labels.
    """
    cdef:
        const int64_t* indptr = <const int64_t*>take(vectors[0], b"indptr", INT64, 1, False).data
        const int32_t* indices = <const int32_t*>take(vectors[1], b"indices", INT32, 1, False).data
        const float* data = <const float*>take(vectors[2], b"data", FLOAT32, 1, False).data
        int32_t* order = <int32_t*>take(labels, b"order", INT32, 1, True).data
        const int64_t* ends = <const int64_t*>take(bounds, b"ends", INT64, 1, False).data
        float* sums = <float*>take(work[0], b"sums", FLOAT32, 1, True).data
        float* scores = <float*>take(work[1], b"scores", FLOAT32, 1, True).data
        Vectors x
    x.indptr = indptr
    x.indices = indices
    x.data = data
    with nogil:
        split(&x, order, ends, low, high, sums, scores, seed)


# ------------------------------------------------------------------- training
cdef inline int64_t children_of_row(
    const int32_t* labels, const float* weights, int64_t n, const int32_t* child_of,
    int32_t* children, float* sums,
) noexcept nogil:
    # The nodes of one level that have labels of a row below them, ascending, and their weights.
    cdef:
        int64_t i, j, k, count = 0
        int32_t child
        float weight
    for i in range(n):
        child = child_of[labels[i]]
        if child < 0:
            continue
        weight = 1 if weights is NULL else weights[i]
        # Labels of a row are few, and in order within a cluster more often than not.
        j = count
        while j > 0 and children[j - 1] > child:
            j -= 1
        if j > 0 and children[j - 1] == child:
            sums[j - 1] += weight
            continue
        count += 1
        for k in range(count - 1, j, -1):
            children[k] = children[k - 1]
            sums[k] = sums[k - 1]
        children[j] = child
        sums[j] = weight
    return count


def level_targets(
    label_sets, child_of, parents, negatives, int64_t first_node, int64_t last_node, work, out,
):
    """For each node of a level: the rows with a label below it, and their children there.

    Parameters
    ----------
    label_sets : tuple
        indptr (int64), labels (int32), weights (float32; empty: all 1), of the rows.
    child_of : int32 array of shape (n_labels,)
        The node of the level below that has each label below it, or is it; -1: none.
    parents : int32 array of shape (n_nodes,)
    negatives : tuple
        indptr (int64; empty: none), nodes (int32): nodes of each row without any label.
    first_node, last_node : int
        The level.
    work : tuple
        int32 and float32 room for the labels of any row, int64 zeros (2 * (n_nodes + 1)).
    out : tuple
        node_start (int64, n_nodes + 1), rows (int32), pair_start (int64), pairs (int32),
        pair_weight (float32): the rows of node i are those from node_start[i] on, the pairs
        of the j-th of them from pair_start[j] to pair_start[j + 1]. Children are numbered as
        nodes.
    """
    cdef:
        const int64_t* indptr = <const int64_t*>take(
            label_sets[0], b"indptr", INT64, 1, False).data
        const int32_t* labels = <const int32_t*>take(
            label_sets[1], b"labels", INT32, 1, False).data
        const float* weights = <const float*>take(
            label_sets[2], b"weights", FLOAT32, 1, False).data
        const int32_t* children_of = <const int32_t*>take(
            child_of, b"children_of", INT32, 1, False).data
        const int32_t* parent = <const int32_t*>take(parents, b"parent", INT32, 1, False).data
        const int64_t* extra_start = <const int64_t*>take(
            negatives[0], b"extra_start", INT64, 1, False).data
        const int32_t* extra = <const int32_t*>take(negatives[1], b"extra", INT32, 1, False).data
        int32_t* children = <int32_t*>take(work[0], b"children", INT32, 1, True).data
        float* sums = <float*>take(work[1], b"sums", FLOAT32, 1, True).data
        int64_t* counts = <int64_t*>take(work[2], b"counts", INT64, 1, True).data
        int64_t* node_start = <int64_t*>take(out[0], b"node_start", INT64, 1, True).data
        int32_t* rows = <int32_t*>take(out[1], b"rows", INT32, 1, True).data
        int64_t* pair_start = <int64_t*>take(out[2], b"pair_start", INT64, 1, True).data
        int32_t* pairs = <int32_t*>take(out[3], b"pairs", INT32, 1, True).data
        float* pair_weight = <float*>take(out[4], b"pair_weight", FLOAT32, 1, True).data
        int64_t n_rows = len(label_sets[0]) - 1
        int64_t n_nodes = last_node - first_node
        int64_t row, i, j, n, node, turn, place
        bint weighted = weights is not NULL
        bint keep_weights = pair_weight is not NULL
    with nogil:
        # First the numbers of rows and pairs of each node, then the rows and pairs.
        for turn in range(2):
            for row in range(n_rows):
                i = indptr[row]
                n = indptr[row + 1] - i
                if n:
                    n = children_of_row(
                        &labels[i], &weights[i] if weighted else NULL, n, children_of,
                        children, sums)
                i = 0
                while i < n:
                    node = parent[children[i]] - first_node
                    if turn:
                        place = counts[node]
                        rows[place] = <int32_t>row
                        pair_start[place] = counts[n_nodes + 1 + node]
                    counts[node] += 1
                    while i < n and parent[children[i]] - first_node == node:
                        if turn:
                            place = counts[n_nodes + 1 + node]
                            pairs[place] = children[i]
                            if keep_weights:
                                pair_weight[place] = sums[i]
                        counts[n_nodes + 1 + node] += 1
                        i += 1
                if extra_start is not NULL:
                    for j in range(extra_start[row], extra_start[row + 1]):
                        node = extra[j] - first_node
                        if turn:
                            place = counts[node]
                            rows[place] = <int32_t>row
                            pair_start[place] = counts[n_nodes + 1 + node]
                        counts[node] += 1
            if turn == 0:
                i = 0
                j = 0
                for node in range(n_nodes):
                    node_start[node] = i
                    i += counts[node]
                    counts[node] = node_start[node]
                    place = j
                    j += counts[n_nodes + 1 + node]
                    counts[n_nodes + 1 + node] = place
                node_start[n_nodes] = i
                pair_start[i] = j


cdef inline int64_t number_features(
    uint64_t* bits, int64_t n_words, int32_t* places, int32_t* features
) noexcept nogil:
    # Numbers the features whose bits are set, ascending, and clears the bits.
    cdef:
        int64_t word, n = 0, k
        uint64_t left
    for word in range(n_words):
        left = bits[word]
        if left:
            bits[word] = 0
            for k in range(64):
                if left >> k & 1:
                    features[n] = <int32_t>(64 * word + k)
                    places[64 * word + k] = <int32_t>n
                    n += 1
    return n


cdef inline int64_t write_chunk(
    const Problem* p, const int32_t* features, int64_t first, int64_t last, float smallest,
    int32_t* out_features, uint8_t* out_sizes, uint8_t* out_children, float* out_values,
    int64_t* n_entries, double* total,
) noexcept nogil:
    # Entries of children first:last, counted from the first of the task. Returns the number of
    # features; `total` is not finite if a weight is not.
    cdef:
        int64_t i, k, n_features = 0, used = 0, before
        const float* w
        float value
    for i in range(p.n_features):
        w = p.weights + i * p.stride
        before = used
        if not skm_reaches(w + first, last - first, smallest, total):
            continue
        for k in range(first, last):
            value = w[k]
            if fabs(value) >= smallest and value != 0:
                out_children[used] = <uint8_t>(k - first)
                out_values[used] = value
                used += 1
        if used > before:
            out_features[n_features] = features[i]
            out_sizes[n_features] = <uint8_t>(used - before)
            n_features += 1
    n_entries[0] = used
    return n_features


cdef inline int64_t stride_of(int64_t n_children) noexcept nogil:
    """Whole cache lines, or powers of 2 below one."""
    cdef int64_t stride = 1
    while stride < n_children and stride < 16:
        stride *= 2
    return stride if stride >= n_children else (n_children + 15) // 16 * 16


cdef inline void copy_rows(
    const float* data, const int32_t* indices, const int64_t* indptr, const int32_t* rows,
    int64_t n_rows, const int32_t* places, float* own_data, int32_t* own_indices,
    int64_t* own_indptr,
) noexcept nogil:
    """Copy some rows of a CSR array, with their features renumbered."""
    cdef:
        int64_t i, j, k = 0
    own_indptr[0] = 0
    for i in range(n_rows):
        for j in range(indptr[rows[i]], indptr[rows[i] + 1]):
            own_indices[k] = places[indices[j]]
            own_data[k] = data[j]
            k += 1
        own_indptr[i + 1] = k


def train_nodes(
    rows, targets, tasks, int64_t first_task, rates, old, intercepts, work, out,
):
    """Train tasks from `first_task` on, as long as there is room for what they give.

    Parameters
    ----------
    rows : tuple
        data (float32), indices (int32), indptr (int64) of X in CSR form; bounds of the rows'
        steps (float32), their weights (float32; empty: all 1).
    targets : tuple
        rows, pair_start, pairs, pair_weight (empty: all 1) of `level_targets`, pairs numbered
        within their node; picks (int32 of shape (n_epochs * n_rows,)), the one child, numbered
        as nodes, that each row shows in each epoch; empty: all.
    tasks : int64 array of shape (n_tasks, 10)
        First and last row of the node, in `targets`; first and last child of the task; number
        of the node, and of its first child; bound of the number of features; whether the node
        has all rows, in order; first and last chunk of the old weights.
    first_task : int
    rates : tuple
        Code of the loss, seed, number of epochs before, their steps (float64 of shape
        (n_epochs, 2): begin and end), alpha, rate of the intercepts, smallest magnitude kept.
    old : tuple
        Weights to go on from: feature_start, entry_start (int64), features (int32), sizes,
        children (uint8), values (float32).
    intercepts : float32 array of shape (n_nodes,)
        In, and out.
    work : tuple
        bits (uint64, of all features, 0), places (int32, all features), features (int32),
        weights, data (float32), indices (int32), indptr (int64), order (int32), buffers
        (float32, 5 * width), losses of labels (float64): room for the largest task.
    out : tuple
        features (int32), sizes, children (uint8), values (float32), number of features and
        entries of each chunk (int64, 2 a chunk), losses (float64 of shape
        (n_tasks, n_epochs)), checksum (float64 of shape (1,)).

    Returns
    -------
    next_task : int
        The first one that was not trained.
    n_chunks : int
        Chunks written.
    """
    cdef:
        const float* data = <const float*>take(rows[0], b"data", FLOAT32, 1, False).data
        const int32_t* indices = <const int32_t*>take(rows[1], b"indices", INT32, 1, False).data
        const int64_t* indptr = <const int64_t*>take(rows[2], b"indptr", INT64, 1, False).data
        const float* max_step = <const float*>take(rows[3], b"max_step", FLOAT32, 1, False).data
        const float* row_weight = <const float*>take(
            rows[4], b"row_weight", FLOAT32, 1, False).data
        const int32_t* target_rows = <const int32_t*>take(
            targets[0], b"target_rows", INT32, 1, False).data
        const int64_t* pair_start = <const int64_t*>take(
            targets[1], b"pair_start", INT64, 1, False).data
        const int32_t* pairs = <const int32_t*>take(targets[2], b"pairs", INT32, 1, False).data
        const float* pair_weight = <const float*>take(
            targets[3], b"pair_weight", FLOAT32, 1, False).data
        const int32_t* picks = <const int32_t*>take(targets[4], b"picks", INT32, 1, False).data
        const int64_t* table = <const int64_t*>take(tasks, b"table", INT64, 2, False).data
        const double* steps = <const double*>take(rates[3], b"steps", FLOAT64, 2, False).data
        float* intercept = <float*>take(intercepts, b"intercepts", FLOAT32, 1, True).data
        float smallest = rates[6]
        const int64_t* old_features = <const int64_t*>take(
            old[0], b"old_features", INT64, 1, False).data
        const int64_t* old_entries = <const int64_t*>take(
            old[1], b"old_entries", INT64, 1, False).data
        const int32_t* old_feature = <const int32_t*>take(
            old[2], b"old_feature", INT32, 1, False).data
        const uint8_t* old_sizes = <const uint8_t*>take(old[3], b"old_sizes", UINT8, 1, False).data
        const uint8_t* old_children = <const uint8_t*>take(
            old[4], b"old_children", UINT8, 1, False).data
        const float* old_values = <const float*>take(old[5], b"old_values", FLOAT32, 1, False).data
        uint64_t* bits = <uint64_t*>take(work[0], b"bits", UINT64, 1, True).data
        int32_t* places = <int32_t*>take(work[1], b"places", INT32, 1, True).data
        int32_t* features = <int32_t*>take(work[2], b"features", INT32, 1, True).data
        float* weights = <float*>take(work[3], b"weights", FLOAT32, 1, True).data
        float* own_data = <float*>take(work[4], b"own_data", FLOAT32, 1, True).data
        int32_t* own_indices = <int32_t*>take(work[5], b"own_indices", INT32, 1, True).data
        int64_t* own_indptr = <int64_t*>take(work[6], b"own_indptr", INT64, 1, True).data
        int32_t* order = <int32_t*>take(work[7], b"order", INT32, 1, True).data
        float* buffers = <float*>take(work[8], b"buffers", FLOAT32, 1, True).data
        double* loss = <double*>take(work[9], b"loss", FLOAT64, 1, True).data
        int32_t* out_features = <int32_t*>take(out[0], b"out_features", INT32, 1, True).data
        uint8_t* out_sizes = <uint8_t*>take(out[1], b"out_sizes", UINT8, 1, True).data
        uint8_t* out_children = <uint8_t*>take(out[2], b"out_children", UINT8, 1, True).data
        float* out_values = <float*>take(out[3], b"out_values", FLOAT32, 1, True).data
        int64_t* out_counts = <int64_t*>take(out[4], b"out_counts", INT64, 2, True).data
        double* losses = <double*>take(out[5], b"losses", FLOAT64, 2, True).data
        double* checksum = <double*>take(out[6], b"checksum", FLOAT64, 1, True).data
        int64_t width = len(work[8]) // 5
        int64_t n_words = len(work[0])
        int64_t n_tasks = len(tasks)
        int64_t room_features = len(out[0])
        int64_t room_values = len(out[3])
        const int64_t* t
        int64_t task, first_row, last_row, chunk, i, j, k, e, n, row, n_children
        int64_t used_features = 0, used_entries = 0, n_chunks = 0, n_entries
        float* b = &buffers[4 * width]
        float s
        bint whole
        Problem p
        Rates r
    r.loss_code = rates[0]
    r.seed = rates[1]
    r.first_epoch = rates[2]
    r.n_epochs = len(rates[3])
    r.steps = steps
    r.alpha = rates[4]
    r.intercept_rate = rates[5]
    r.max_step = max_step
    r.row_weight = row_weight
    r.picks = picks
    r.n_all_rows = len(rows[2]) - 1
    p.weights = weights
    p.intercept = b
    p.pairs = pairs
    p.pair_weight = pair_weight
    with nogil:
        task = first_task
        while task < n_tasks:
            t = table + 10 * task
            first_row = t[0]
            last_row = t[1]
            p.first = t[2]
            p.last = t[3]
            p.node = t[4]
            r.first_child = t[5]
            whole = t[7]
            n_children = p.last - p.first
            n = t[6] * ((n_children + _CHUNK - 1) // _CHUNK)
            if used_features + n > room_features or used_entries + t[6] * n_children > room_values:
                break
            p.n_rows = last_row - first_row
            p.rows = &target_rows[first_row]
            p.pair_start = &pair_start[first_row]
            if whole:
                p.n_features = t[6]
                for i in range(p.n_features):
                    features[i] = <int32_t>i
                p.data = data
                p.indices = indices
                p.indptr = indptr
            else:
                for i in range(first_row, last_row):
                    row = target_rows[i]
                    for j in range(indptr[row], indptr[row + 1]):
                        bits[indices[j] >> 6] |= <uint64_t>1 << (indices[j] & 63)
                for chunk in range(t[8], t[9]):
                    for j in range(old_features[chunk], old_features[chunk + 1]):
                        bits[old_feature[j] >> 6] |= <uint64_t>1 << (old_feature[j] & 63)
                p.n_features = number_features(bits, n_words, places, features)
                copy_rows(
                    data, indices, indptr, p.rows, p.n_rows, places, own_data, own_indices,
                    own_indptr)
                p.data = own_data
                p.indices = own_indices
                p.indptr = own_indptr
            p.stride = stride_of(n_children)
            memset(p.weights, 0, p.n_features * p.stride * sizeof(float))
            memset(b, 0, width * sizeof(float))
            for k in range(p.first, p.last):
                b[k] = intercept[r.first_child + k]
            for chunk in range(t[8], t[9]):
                e = old_entries[chunk]
                n = (chunk - t[8]) * _CHUNK
                for j in range(old_features[chunk], old_features[chunk + 1]):
                    i = old_feature[j] if whole else places[old_feature[j]]
                    for k in range(e, e + old_sizes[j]):
                        p.weights[i * p.stride + n + old_children[k]] = old_values[k]
                    e += old_sizes[j]
            s = <float>train_problem(
                &p, &r, order, buffers, width, loss, losses + task * r.n_epochs)
            if s != 1:
                scale(p.weights, p.n_features * p.stride, s)
            for k in range(p.first, p.last):
                intercept[r.first_child + k] = b[k]
                checksum[0] += b[k]
            for i in range((n_children + _CHUNK - 1) // _CHUNK):
                k = i * _CHUNK
                n = min(k + _CHUNK, n_children)
                out_counts[2 * n_chunks] = write_chunk(
                    &p, features, k, n, smallest, &out_features[used_features],
                    &out_sizes[used_features], &out_children[used_entries],
                    &out_values[used_entries], &n_entries, checksum)
                out_counts[2 * n_chunks + 1] = n_entries
                used_features += out_counts[2 * n_chunks]
                used_entries += n_entries
                n_chunks += 1
            task += 1
    return task, n_chunks


# --------------------------------------------------------------------- search
def open_nodes(
    rows, tree, chunks, int kind, requests, int64_t first, wanted, best, above, work,
):
    """Probabilities of the children of nodes, for rows that have reached them.

    Parameters
    ----------
    rows : tuple
        data (float32), indices (int32), indptr (int64) of X in CSR form.
    tree : tuple
        first_child, first_chunk (int32 of shape (n_nodes + 1,)), label of each node (int32;
        -1: none), intercept of each node (float32).
    chunks : tuple
        feature_start, entry_start (int64), features (int32), sizes, children (uint8), values
        (float32, or float16 seen as uint8; one of two arrays, the other empty).
    kind : int
        Of PROBABILITY_CODES.
    requests : tuple
        Row, node (int32) and probability (float32) of each request, sorted by node.
    first : int
        Request to begin with.
    wanted : tuple
        start (int64 of shape (n_requests + 1,)) and child (int32), numbered within its node:
        what to give the probabilities of, into an array (float32); empty: not in this way.
    best : tuple
        Probabilities (float32) and numbers (int32) of shape (n_rows, width) of the best nodes
        of each row, and how many (int32); the same for the best labels. Heaps; empty: not in
        this way. Then where (int64; empty: nowhere) the probabilities of all children of each
        request go, into an array (float32).
    above : tuple
        Thresholds of the rows (float32); row, node (int32) and probability (float32) of the
        children that reach them.
    work : tuple
        places (int32 zeros, all features), starts (int32), values (float32): room for the
        largest chunk; scores (float32): SCORES_AT_A_TIME and the children of one node.

    Returns
    -------
    next_request : int
        The first that was not done, as `above` was full.
    n_found : int
        What is in `above`.
    """
    cdef:
        const float* data = <const float*>take(rows[0], b"data", FLOAT32, 1, False).data
        const int32_t* indices = <const int32_t*>take(rows[1], b"indices", INT32, 1, False).data
        const int64_t* indptr = <const int64_t*>take(rows[2], b"indptr", INT64, 1, False).data
        const int32_t* first_child = <const int32_t*>take(
            tree[0], b"first_child", INT32, 1, False).data
        const int32_t* first_chunk = <const int32_t*>take(
            tree[1], b"first_chunk", INT32, 1, False).data
        const int32_t* label_of = <const int32_t*>take(tree[2], b"label_of", INT32, 1, False).data
        const float* intercept = <const float*>take(tree[3], b"intercept", FLOAT32, 1, False).data
        const int64_t* feature_start = <const int64_t*>take(
            chunks[0], b"feature_start", INT64, 1, False).data
        const int64_t* entry_start = <const int64_t*>take(
            chunks[1], b"entry_start", INT64, 1, False).data
        const int32_t* features = <const int32_t*>take(
            chunks[2], b"features", INT32, 1, False).data
        const uint8_t* sizes = <const uint8_t*>take(chunks[3], b"sizes", UINT8, 1, False).data
        const uint8_t* children = <const uint8_t*>take(
            chunks[4], b"children", UINT8, 1, False).data
        const float* values = <const float*>take(chunks[5], b"values", FLOAT32, 1, False).data
        const uint16_t* halves = <const uint16_t*>take(chunks[6], b"halves", UINT8, 1, False).data
        const int32_t* request_row = <const int32_t*>take(
            requests[0], b"request_row", INT32, 1, False).data
        const int32_t* request_node = <const int32_t*>take(
            requests[1], b"request_node", INT32, 1, False).data
        const float* request_p = <const float*>take(
            requests[2], b"request_p", FLOAT32, 1, False).data
        const int64_t* wanted_start = <const int64_t*>take(
            wanted[0], b"wanted_start", INT64, 1, False).data
        const int32_t* wanted_child = <const int32_t*>take(
            wanted[1], b"wanted_child", INT32, 1, False).data
        float* wanted_p = <float*>take(wanted[2], b"wanted_p", FLOAT32, 1, True).data
        float* node_p = <float*>take(best[0], b"node_p", FLOAT32, 2, True).data
        int32_t* node_number = <int32_t*>take(best[1], b"node_number", INT32, 2, True).data
        int32_t* node_count = <int32_t*>take(best[2], b"node_count", INT32, 1, True).data
        float* label_p = <float*>take(best[3], b"label_p", FLOAT32, 2, True).data
        int32_t* label_number = <int32_t*>take(best[4], b"label_number", INT32, 2, True).data
        int32_t* label_count = <int32_t*>take(best[5], b"label_count", INT32, 1, True).data
        const int64_t* saved_start = <const int64_t*>take(
            best[6], b"saved_start", INT64, 1, False).data
        float* saved = <float*>take(best[7], b"saved", FLOAT32, 1, True).data
        const float* threshold = <const float*>take(above[0], b"threshold", FLOAT32, 1, False).data
        int32_t* above_row = <int32_t*>take(above[1], b"above_row", INT32, 1, True).data
        int32_t* above_node = <int32_t*>take(above[2], b"above_node", INT32, 1, True).data
        float* above_p = <float*>take(above[3], b"above_p", FLOAT32, 1, True).data
        int32_t* places = <int32_t*>take(work[0], b"places", INT32, 1, True).data
        int32_t* starts = <int32_t*>take(work[1], b"starts", INT32, 1, True).data
        float* single = <float*>take(work[2], b"single", FLOAT32, 1, True).data
        float* scores = <float*>take(work[3], b"scores", FLOAT32, 1, True).data
        bint give = wanted_start is not NULL
        bint keep = node_p is not NULL
        int32_t n_nodes = best[0].shape[1]
        int32_t n_labels = best[3].shape[1]
        int64_t n_requests = len(requests[1])
        int64_t room = len(above[3])
        int64_t i, j, k, last, n_children, n_at_a_time, row, start, offset, n_found = 0
        int32_t node, child, number
        float p, least, least_label
        float* z
        Chunk chunk
    with nogil:
        i = first
        while i < n_requests:
            node = request_node[i]
            child = first_child[node]
            n_children = first_child[node + 1] - child
            n_at_a_time = _SCORES // n_children
            if n_at_a_time < 1:
                n_at_a_time = 1
            last = i + 1
            while last < n_requests and request_node[last] == node and last < i + n_at_a_time:
                last += 1
            if room and n_found + (last - i) * n_children > room:
                break
            for j in range(i, last):
                z = &scores[(j - i) * n_children]
                for k in range(n_children):
                    z[k] = intercept[child + k]
            offset = 0
            for k in range(first_chunk[node], first_chunk[node + 1]):
                chunk.n_features = feature_start[k + 1] - feature_start[k]
                if chunk.n_features:
                    chunk.features = &features[feature_start[k]]
                    chunk.sizes = &sizes[feature_start[k]]
                    chunk.children = &children[entry_start[k]]
                    if halves is not NULL:
                        skm_from_half(
                            single, &halves[entry_start[k]],
                            entry_start[k + 1] - entry_start[k])
                        chunk.values = single
                    else:
                        chunk.values = &values[entry_start[k]]
                    enter_chunk(&chunk, places, starts)
                    for j in range(i, last):
                        row = request_row[j]
                        start = indptr[row]
                        if indptr[row + 1] > start:
                            add_scores(
                                &chunk, places, starts, &data[start], &indices[start],
                                indptr[row + 1] - start,
                                &scores[(j - i) * n_children + offset])
                    leave_chunk(&chunk, places)
                offset += _CHUNK
            for j in range(i, last):
                z = &scores[(j - i) * n_children]
                to_probabilities(z, n_children, kind)
                row = request_row[j]
                p = request_p[j]
                if give:
                    for k in range(wanted_start[j], wanted_start[j + 1]):
                        wanted_p[k] = p * z[wanted_child[k]]
                    continue
                scale(z, n_children, p)
                if keep:
                    if saved_start is not NULL:
                        memcpy(&saved[saved_start[j]], z, n_children * sizeof(float))
                    # What a full heap does not take is passed over without a look at it.
                    least = least_of(node_p + row * n_nodes, node_count[row], n_nodes)
                    least_label = least_of(label_p + row * n_labels, label_count[row], n_labels)
                    for k in range(n_children):
                        number = label_of[child + k]
                        if z[k] < (least if number < 0 else least_label):
                            continue
                        if number < 0:
                            keep_best(
                                node_p + row * n_nodes, node_number + row * n_nodes,
                                &node_count[row],
                                n_nodes, z[k], <int32_t>(child + k))
                            least = least_of(node_p + row * n_nodes, node_count[row], n_nodes)
                        else:
                            keep_best(
                                label_p + row * n_labels, label_number + row * n_labels,
                                &label_count[row],
                                n_labels, z[k], number)
                            least_label = least_of(
                                label_p + row * n_labels, label_count[row], n_labels)
                else:
                    least = threshold[row]
                    for k in range(n_children):
                        if z[k] >= least:
                            above_row[n_found] = <int32_t>row
                            above_node[n_found] = <int32_t>(child + k)
                            above_p[n_found] = z[k]
                            n_found += 1
            i = last
    return i, n_found
