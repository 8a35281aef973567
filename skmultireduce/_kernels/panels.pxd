# Weights of a block of labels, and what their updates depend on.

from libc.stdint cimport int64_t

from skmultireduce._kernels.buffers cimport FLOAT64, FLOATS, Array, take

cdef struct Panel:
    # FLOAT32 or FLOAT64, of the weights and intercepts.
    int type
    int64_t n_features
    # Weights of the labels first_label:last_label, (n_features, stride), times the scale. What
    # is beyond these labels is padding, 0.
    void* W
    int64_t stride
    void* intercept
    double* scale
    int64_t first_label
    int64_t last_label

cdef struct Rates:
    # The step of the i-th visit is eta + (i + 1) * eta_change, at most the row's.
    double eta
    double eta_change
    double alpha
    double intercept
    const void* max_step


cdef inline Panel take_panel(
    object W, object intercept, object weight_scale, int64_t first_label, int64_t last_label
) except *:
    cdef:
        Panel panel
        Array weights = take(W, b"W", FLOATS, 2, True)
    panel.type = weights.type
    panel.W = weights.data
    panel.n_features, panel.stride = weights.shape[0], weights.shape[1]
    panel.intercept = take(intercept, b"intercept", weights.type, 1, True).data
    panel.scale = <double*>take(weight_scale, b"weight_scale", FLOAT64, 1, True).data
    panel.first_label, panel.last_label = first_label, last_label
    return panel
