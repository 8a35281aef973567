# Hidden layers of the MLP: forward, backward, update.
#
# Layers are one after the other in one array, each with its weights (n_out, n_in) and its
# intercepts; so are their outputs, each (batch_size, width), the document vectors first.

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from skmultireduce._kernels.products cimport NO_TRANS, TRANS, dot, gemm
from skmultireduce._kernels.simd cimport real, scale, subtract

cdef extern from "simd_layers.h" nogil:
    void skm_relu_float(float* a, int64_t n)
    void skm_relu_double(double* a, int64_t n)
    void skm_relu_gradient_float(float* d, const float* a, int64_t n)
    void skm_relu_gradient_double(double* d, const double* a, int64_t n)
    void skm_tanh_float(float* a, int64_t n)
    void skm_tanh_double(double* a, int64_t n)
    void skm_tanh_gradient_float(float* d, const float* a, int64_t n)
    void skm_tanh_gradient_double(double* d, const double* a, int64_t n)
    void skm_mask_float(float* a, const uint8_t* kept, int64_t n, float factor)
    void skm_mask_double(double* a, const uint8_t* kept, int64_t n, double factor)

# Codes of the activations.
cdef enum:
    IDENTITY = 0
    RELU = 1
    TANH = 2

cdef struct Layers:
    # Of the document vectors and of each hidden layer.
    const int64_t* widths
    int64_t n_layers
    int64_t total_width
    int activation

cdef struct Dropout:
    # Whether a unit is kept, for each row in the order of the visits; 0 units: none are lost.
    const uint8_t* kept
    int64_t n_units
    double factor


cdef inline void activate(real* a, int64_t n, int activation) noexcept nogil:
    if activation == RELU:
        if real is float:
            skm_relu_float(a, n)
        else:
            skm_relu_double(a, n)
    elif activation == TANH:
        if real is float:
            skm_tanh_float(a, n)
        else:
            skm_tanh_double(a, n)


cdef inline void activation_gradient(
    real* d, const real* a, int64_t n, int activation
) noexcept nogil:
    if activation == RELU:
        if real is float:
            skm_relu_gradient_float(d, a, n)
        else:
            skm_relu_gradient_double(d, a, n)
    elif activation == TANH:
        if real is float:
            skm_tanh_gradient_float(d, a, n)
        else:
            skm_tanh_gradient_double(d, a, n)


cdef inline void mask(real* a, const uint8_t* kept, int64_t n, real factor) noexcept nogil:
    if real is float:
        skm_mask_float(a, kept, n, factor)
    else:
        skm_mask_double(a, kept, n, factor)


cdef inline void hidden_forward(
    real* A, int64_t batch_size, int64_t first, int64_t last, const real* hidden,
    const Layers* layers, const uint8_t* kept, const Dropout* dropout,
) noexcept nogil:
    # Rows first:last through all hidden layers. A holds the layers one after the other,
    # each (batch_size, width).
    cdef:
        const real* W = hidden
        real* below = A
        real* above
        int64_t k, i, n_in, n_out, unit = 0
    for k in range(1, layers.n_layers):
        n_in = layers.widths[k - 1]
        n_out = layers.widths[k]
        above = below + batch_size * n_in
        unit += n_in
        for i in range(first, last):
            memcpy(above + i * n_out, W + n_out * n_in, n_out * sizeof(real))
        gemm(TRANS, NO_TRANS, n_out, last - first, n_in, <real>1, W, n_in,
             below + first * n_in, n_in, <real>1, above + first * n_out, n_out)
        for i in range(first, last):
            activate(above + i * n_out, n_out, layers.activation)
            if dropout.n_units:
                mask(above + i * n_out, kept + i * dropout.n_units + unit, n_out,
                     <real>dropout.factor)
        W += n_out * (n_in + 1)
        below = above


cdef inline void hidden_backward(
    real* A, real* D, int64_t batch_size, int64_t first, int64_t last, const real* hidden_end,
    const Layers* layers, const uint8_t* kept, const Dropout* dropout,
) noexcept nogil:
    # D: gradients in the layers' outputs on entry of the last one, in what enters their
    # activations on return.
    cdef:
        const real* W = hidden_end
        int64_t k, i, n_in, n_out, unit = layers.total_width
        real* a = A + batch_size * layers.total_width
        real* d = D + batch_size * layers.total_width
        real* below
    for k in range(layers.n_layers - 1, -1, -1):
        n_out = layers.widths[k]
        unit -= n_out
        a -= batch_size * n_out
        d -= batch_size * n_out
        for i in range(first, last):
            if dropout.n_units:
                mask(d + i * n_out, kept + i * dropout.n_units + unit, n_out,
                     <real>dropout.factor)
            if k:
                if dropout.n_units and layers.activation == TANH:
                    scale(a + i * n_out, n_out, <real>(1 / dropout.factor))
                activation_gradient(d + i * n_out, a + i * n_out, n_out, layers.activation)
                if dropout.n_units and layers.activation == TANH:
                    scale(a + i * n_out, n_out, <real>dropout.factor)
        if k:
            n_in = layers.widths[k - 1]
            W -= n_out * (n_in + 1)
            below = d - batch_size * n_in
            gemm(NO_TRANS, NO_TRANS, n_in, last - first, n_out, <real>1, W, n_in,
                 d + first * n_out, n_out, <real>0, below + first * n_in, n_in)


cdef inline void hidden_update(
    real* hidden, real* gradient, real* A, real* D, int64_t batch_size, int64_t b,
    const Layers* layers, const real* steps, double rate, double decay, double largest_change,
) noexcept nogil:
    # One step for each layer, of at most largest_change times the norm of its weights.
    cdef:
        real* W = hidden
        real* below = A
        real* d = D
        int64_t k, i, n_in, n_out, size
        double change, norm
    for k in range(1, layers.n_layers):
        n_in = layers.widths[k - 1]
        n_out = layers.widths[k]
        d += batch_size * n_in
        size = n_out * n_in
        memset(gradient + size, 0, n_out * sizeof(real))
        for i in range(b):
            scale(d + i * n_out, n_out, <real>(rate * steps[i]))
            subtract(gradient + size, d + i * n_out, n_out, <real>-1)
        gemm(NO_TRANS, TRANS, n_in, n_out, b, <real>1, below, n_in, d, n_out, <real>0,
             gradient, n_in)
        change = sqrt(dot(gradient, gradient, size + n_out))
        norm = largest_change * sqrt(dot(W, W, size + n_out))
        if decay != 1:
            scale(W, size, <real>decay)
        subtract(W, gradient, size + n_out, <real>(norm / change if change > norm else 1.0))
        W += size + n_out
        below += batch_size * n_in
