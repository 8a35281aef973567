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
from libc.string cimport memset

from skmultireduce._kernels.simd cimport scale
from skmultireduce._kernels.tree_clusters cimport Vectors, put_largest_first, split
from skmultireduce._kernels.tree_search cimport (
    Chunk,
    EXPONENTIAL,
    LINEAR,
    LOGISTIC,
    NORMALIZED,
    add_scores,
    enter_chunk,
    keep_best,
    leave_chunk,
    skm_from_half,
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
        const float[::1] data = rows[0]
        const int32_t[::1] indices = rows[1]
        const int64_t[::1] indptr = rows[2]
        const int64_t[::1] starts = label_start
        const int32_t[::1] members = label_rows
        const float[::1] weights = row_weight
        float[::1] sums = work[0]
        float[::1] sizes = work[1]
        int32_t[::1] touched = work[2]
        int32_t[::1] counts = out[0]
        int32_t[::1] out_indices = out[1]
        float[::1] out_data = out[2]
        int64_t label, i, j, n, kept, used = 0, row
        int32_t feature
        float weight, value, largest
        double square
    with nogil:
        for label in range(first_label, last_label):
            n = 0
            for i in range(starts[label], starts[label + 1]):
                row = members[i]
                weight = weights[row] if weights.shape[0] else 1
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
                put_largest_first(&sizes[0], &touched[0], n, most)
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
        const int64_t[::1] indptr = vectors[0]
        const int32_t[::1] indices = vectors[1]
        const float[::1] data = vectors[2]
        int32_t[::1] order = labels
        const int64_t[::1] ends = bounds
        float[::1] sums = work[0]
        float[::1] scores = work[1]
        Vectors x
    x.indptr = &indptr[0]
    x.indices = &indices[0]
    x.data = &data[0]
    with nogil:
        split(&x, &order[0], &ends[0], low, high, &sums[0], &scores[0], seed)


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
        const int64_t[::1] indptr = label_sets[0]
        const int32_t[::1] labels = label_sets[1]
        const float[::1] weights = label_sets[2]
        const int32_t[::1] children_of = child_of
        const int32_t[::1] parent = parents
        const int64_t[::1] extra_start = negatives[0]
        const int32_t[::1] extra = negatives[1]
        int32_t[::1] children = work[0]
        float[::1] sums = work[1]
        int64_t[::1] counts = work[2]
        int64_t[::1] node_start = out[0]
        int32_t[::1] rows = out[1]
        int64_t[::1] pair_start = out[2]
        int32_t[::1] pairs = out[3]
        float[::1] pair_weight = out[4]
        int64_t n_rows = indptr.shape[0] - 1
        int64_t n_nodes = last_node - first_node
        int64_t row, i, j, n, node, turn, place
        bint weighted = weights.shape[0] > 0
        bint keep_weights = pair_weight.shape[0] > 0
    with nogil:
        # First the numbers of rows and pairs of each node, then the rows and pairs.
        for turn in range(2):
            for row in range(n_rows):
                i = indptr[row]
                n = indptr[row + 1] - i
                if n:
                    n = children_of_row(
                        &labels[i], &weights[i] if weighted else NULL, n, &children_of[0],
                        &children[0], &sums[0])
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
                if extra_start.shape[0]:
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
        for k in range(first, last):
            value = w[k]
            total[0] += value
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


def train_nodes(
    rows, targets, tasks, int64_t first_task, rates, old, float[::1] intercept, work, out,
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
    intercept : float32 array of shape (n_nodes,)
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
        const float[::1] data = rows[0]
        const int32_t[::1] indices = rows[1]
        const int64_t[::1] indptr = rows[2]
        const float[::1] max_step = rows[3]
        const float[::1] row_weight = rows[4]
        const int32_t[::1] target_rows = targets[0]
        const int64_t[::1] pair_start = targets[1]
        const int32_t[::1] pairs = targets[2]
        const float[::1] pair_weight = targets[3]
        const int32_t[::1] picks = targets[4]
        const int64_t[:, ::1] table = tasks
        const double[:, ::1] steps = rates[3]
        float smallest = rates[6]
        const int64_t[::1] old_features = old[0]
        const int64_t[::1] old_entries = old[1]
        const int32_t[::1] old_feature = old[2]
        const uint8_t[::1] old_sizes = old[3]
        const uint8_t[::1] old_children = old[4]
        const float[::1] old_values = old[5]
        uint64_t[::1] bits = work[0]
        int32_t[::1] places = work[1]
        int32_t[::1] features = work[2]
        float[::1] weights = work[3]
        float[::1] own_data = work[4]
        int32_t[::1] own_indices = work[5]
        int64_t[::1] own_indptr = work[6]
        int32_t[::1] order = work[7]
        float[::1] buffers = work[8]
        double[::1] loss = work[9]
        int32_t[::1] out_features = out[0]
        uint8_t[::1] out_sizes = out[1]
        uint8_t[::1] out_children = out[2]
        float[::1] out_values = out[3]
        int64_t[:, ::1] out_counts = out[4]
        double[:, ::1] losses = out[5]
        double[::1] checksum = out[6]
        int64_t width = buffers.shape[0] // 5
        int64_t n_words = bits.shape[0]
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
    r.n_epochs = steps.shape[0]
    r.steps = &steps[0, 0]
    r.alpha = rates[4]
    r.intercept_rate = rates[5]
    r.max_step = &max_step[0]
    r.row_weight = &row_weight[0] if row_weight.shape[0] else NULL
    r.picks = &picks[0] if picks.shape[0] else NULL
    r.n_all_rows = indptr.shape[0] - 1
    p.weights = &weights[0]
    p.intercept = b
    p.pairs = &pairs[0]
    p.pair_weight = &pair_weight[0] if pair_weight.shape[0] else NULL
    with nogil:
        task = first_task
        while task < table.shape[0]:
            first_row = table[task, 0]
            last_row = table[task, 1]
            p.first = table[task, 2]
            p.last = table[task, 3]
            p.node = table[task, 4]
            r.first_child = table[task, 5]
            whole = table[task, 7]
            n_children = p.last - p.first
            n = table[task, 6] * ((n_children + _CHUNK - 1) // _CHUNK)
            if (
                used_features + n > out_features.shape[0]
                or used_entries + table[task, 6] * n_children > out_values.shape[0]
            ):
                break
            p.n_rows = last_row - first_row
            p.rows = &target_rows[first_row]
            p.pair_start = &pair_start[first_row]
            if whole:
                p.n_features = table[task, 6]
                for i in range(p.n_features):
                    features[i] = <int32_t>i
                p.data = &data[0]
                p.indices = &indices[0]
                p.indptr = &indptr[0]
            else:
                for i in range(first_row, last_row):
                    row = target_rows[i]
                    for j in range(indptr[row], indptr[row + 1]):
                        bits[indices[j] >> 6] |= <uint64_t>1 << (indices[j] & 63)
                for chunk in range(table[task, 8], table[task, 9]):
                    for j in range(old_features[chunk], old_features[chunk + 1]):
                        bits[old_feature[j] >> 6] |= <uint64_t>1 << (old_feature[j] & 63)
                p.n_features = number_features(&bits[0], n_words, &places[0], &features[0])
                k = 0
                own_indptr[0] = 0
                for i in range(first_row, last_row):
                    row = target_rows[i]
                    for j in range(indptr[row], indptr[row + 1]):
                        own_indices[k] = places[indices[j]]
                        own_data[k] = data[j]
                        k += 1
                    own_indptr[i - first_row + 1] = k
                p.data = &own_data[0]
                p.indices = &own_indices[0]
                p.indptr = &own_indptr[0]
            # Whole cache lines, or powers of 2 below one.
            p.stride = 1
            while p.stride < n_children and p.stride < 16:
                p.stride *= 2
            if p.stride < n_children:
                p.stride = (n_children + 15) // 16 * 16
            memset(p.weights, 0, p.n_features * p.stride * sizeof(float))
            memset(b, 0, width * sizeof(float))
            for k in range(p.first, p.last):
                b[k] = intercept[r.first_child + k]
            for chunk in range(table[task, 8], table[task, 9]):
                e = old_entries[chunk]
                n = (chunk - table[task, 8]) * _CHUNK
                for j in range(old_features[chunk], old_features[chunk + 1]):
                    i = old_feature[j] if whole else places[old_feature[j]]
                    for k in range(e, e + old_sizes[j]):
                        p.weights[i * p.stride + n + old_children[k]] = old_values[k]
                    e += old_sizes[j]
            s = <float>train_problem(
                &p, &r, &order[0], &buffers[0], width, &loss[0], &losses[task, 0])
            if s != 1:
                scale(p.weights, p.n_features * p.stride, s)
            for k in range(p.first, p.last):
                intercept[r.first_child + k] = b[k]
                checksum[0] += b[k]
            k = 0
            while k < n_children:
                n = k + _CHUNK if k + _CHUNK < n_children else n_children
                out_counts[n_chunks, 0] = write_chunk(
                    &p, &features[0], k, n, smallest, &out_features[used_features],
                    &out_sizes[used_features], &out_children[used_entries],
                    &out_values[used_entries], &n_entries, &checksum[0])
                out_counts[n_chunks, 1] = n_entries
                used_features += out_counts[n_chunks, 0]
                used_entries += n_entries
                n_chunks += 1
                k = n
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
        (float32, or float16 seen as uint16; one of two arrays, the other empty).
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
        const float[::1] data = rows[0]
        const int32_t[::1] indices = rows[1]
        const int64_t[::1] indptr = rows[2]
        const int32_t[::1] first_child = tree[0]
        const int32_t[::1] first_chunk = tree[1]
        const int32_t[::1] label_of = tree[2]
        const float[::1] intercept = tree[3]
        const int64_t[::1] feature_start = chunks[0]
        const int64_t[::1] entry_start = chunks[1]
        const int32_t[::1] features = chunks[2]
        const uint8_t[::1] sizes = chunks[3]
        const uint8_t[::1] children = chunks[4]
        const float[::1] values = chunks[5]
        const uint16_t[::1] halves = chunks[6]
        const int32_t[::1] request_row = requests[0]
        const int32_t[::1] request_node = requests[1]
        const float[::1] request_p = requests[2]
        const int64_t[::1] wanted_start = wanted[0]
        const int32_t[::1] wanted_child = wanted[1]
        float[::1] wanted_p = wanted[2]
        float[:, ::1] node_p = best[0]
        int32_t[:, ::1] node_number = best[1]
        int32_t[::1] node_count = best[2]
        float[:, ::1] label_p = best[3]
        int32_t[:, ::1] label_number = best[4]
        int32_t[::1] label_count = best[5]
        const int64_t[::1] saved_start = best[6]
        float[::1] saved = best[7]
        const float[::1] threshold = above[0]
        int32_t[::1] above_row = above[1]
        int32_t[::1] above_node = above[2]
        float[::1] above_p = above[3]
        int32_t[::1] places = work[0]
        int32_t[::1] starts = work[1]
        float[::1] single = work[2]
        float[::1] scores = work[3]
        bint give = wanted_start.shape[0] > 0
        bint keep = node_p.shape[0] > 0
        int32_t n_nodes = <int32_t>node_p.shape[1]
        int32_t n_labels = <int32_t>label_p.shape[1]
        int64_t n_requests = request_node.shape[0]
        int64_t i, j, k, last, n_children, n_at_a_time, row, start, offset, n_found = 0
        int32_t node, child, number
        float p, least
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
            if above_p.shape[0] and n_found + (last - i) * n_children > above_p.shape[0]:
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
                    if halves.shape[0]:
                        skm_from_half(
                            &single[0], &halves[entry_start[k]],
                            entry_start[k + 1] - entry_start[k])
                        chunk.values = &single[0]
                    else:
                        chunk.values = &values[entry_start[k]]
                    enter_chunk(&chunk, &places[0], &starts[0])
                    for j in range(i, last):
                        row = request_row[j]
                        start = indptr[row]
                        if indptr[row + 1] > start:
                            add_scores(
                                &chunk, &places[0], &starts[0], &data[start], &indices[start],
                                indptr[row + 1] - start,
                                &scores[(j - i) * n_children + offset])
                    leave_chunk(&chunk, &places[0])
                offset += _CHUNK
            for j in range(i, last):
                z = &scores[(j - i) * n_children]
                to_probabilities(z, n_children, kind)
                row = request_row[j]
                p = request_p[j]
                if give:
                    for k in range(wanted_start[j], wanted_start[j + 1]):
                        wanted_p[k] = p * z[wanted_child[k]]
                elif keep:
                    if saved_start.shape[0]:
                        for k in range(n_children):
                            saved[saved_start[j] + k] = p * z[k]
                    for k in range(n_children):
                        number = label_of[child + k]
                        if number < 0:
                            keep_best(
                                &node_p[row, 0], &node_number[row, 0], &node_count[row],
                                n_nodes, p * z[k], <int32_t>(child + k))
                        else:
                            keep_best(
                                &label_p[row, 0], &label_number[row, 0], &label_count[row],
                                n_labels, p * z[k], number)
                else:
                    least = threshold[row]
                    for k in range(n_children):
                        if p * z[k] >= least:
                            above_row[n_found] = <int32_t>row
                            above_node[n_found] = <int32_t>(child + k)
                            above_p[n_found] = p * z[k]
                            n_found += 1
            i = last
    return i, n_found
