# The functions of simd.h under one name for all types.

from libc.stdint cimport int32_t, int64_t

ctypedef fused real:
    float
    double

cdef extern from "simd.h" nogil:
    void skm_prefetch(const void* p, int64_t n)
    void skm_exp_array_float(float* x, int64_t n)
    void skm_exp_array_double(double* x, int64_t n)
    float skm_softmax_float(float* z, int64_t n, float* highest)
    double skm_softmax_double(double* z, int64_t n, double* highest)
    void skm_scale_float(float* z, int64_t n, float factor)
    void skm_scale_double(double* z, int64_t n, double factor)
    void skm_subtract_float(float* y, const float* x, int64_t n, float factor)
    void skm_subtract_double(double* y, const double* x, int64_t n, double factor)
    void skm_expit_float(float* z, int64_t n)
    void skm_expit_double(double* z, int64_t n)
    void skm_sigmoid_float(float* z, int64_t n, float* product, float* sum)
    void skm_sigmoid_double(double* z, int64_t n, double* product, double* sum)
    void skm_squared_hinge_float(float* z, int64_t n, float* sum)
    void skm_squared_hinge_double(double* z, int64_t n, double* sum)
    void skm_forward_float_int32_t(
        float* z, int64_t n_labels, const float* W, int64_t stride,
        const int32_t* indices, const float* x, int64_t n,
        float scale, const float* intercept)
    void skm_forward_float_int64_t(
        float* z, int64_t n_labels, const float* W, int64_t stride,
        const int64_t* indices, const float* x, int64_t n,
        float scale, const float* intercept)
    void skm_forward_double_int32_t(
        double* z, int64_t n_labels, const double* W, int64_t stride,
        const int32_t* indices, const double* x, int64_t n,
        double scale, const double* intercept)
    void skm_forward_double_int64_t(
        double* z, int64_t n_labels, const double* W, int64_t stride,
        const int64_t* indices, const double* x, int64_t n,
        double scale, const double* intercept)
    void skm_update_float_int32_t(
        float* W, int64_t stride, const int32_t* indices, const float* x, int64_t n,
        float step, const float* g, int64_t n_labels)
    void skm_update_float_int64_t(
        float* W, int64_t stride, const int64_t* indices, const float* x, int64_t n,
        float step, const float* g, int64_t n_labels)
    void skm_update_double_int32_t(
        double* W, int64_t stride, const int32_t* indices, const double* x, int64_t n,
        double step, const double* g, int64_t n_labels)
    void skm_update_double_int64_t(
        double* W, int64_t stride, const int64_t* indices, const double* x, int64_t n,
        double step, const double* g, int64_t n_labels)


cdef inline void exp_array(real* x, int64_t n) noexcept nogil:
    if real is float:
        skm_exp_array_float(x, n)
    else:
        skm_exp_array_double(x, n)


cdef inline real softmax(real* z, int64_t n, real* highest) noexcept nogil:
    if real is float:
        return skm_softmax_float(z, n, highest)
    else:
        return skm_softmax_double(z, n, highest)


cdef inline void scale(real* z, int64_t n, real factor) noexcept nogil:
    if real is float:
        skm_scale_float(z, n, factor)
    else:
        skm_scale_double(z, n, factor)


cdef inline void subtract(real* y, const real* x, int64_t n, real factor) noexcept nogil:
    if real is float:
        skm_subtract_float(y, x, n, factor)
    else:
        skm_subtract_double(y, x, n, factor)


cdef inline void expit(real* z, int64_t n) noexcept nogil:
    if real is float:
        skm_expit_float(z, n)
    else:
        skm_expit_double(z, n)


cdef inline void sigmoid(real* z, int64_t n, real* product, real* sum_) noexcept nogil:
    if real is float:
        skm_sigmoid_float(z, n, product, sum_)
    else:
        skm_sigmoid_double(z, n, product, sum_)


cdef inline void squared_hinge(real* z, int64_t n, real* sum_) noexcept nogil:
    if real is float:
        skm_squared_hinge_float(z, n, sum_)
    else:
        skm_squared_hinge_double(z, n, sum_)


# Rows have their columns in int64 if wide, else in int32, and none if they are dense.

cdef inline void forward(
    real* z, int64_t n_labels, const real* W, int64_t stride, const void* columns, bint wide,
    const real* x, int64_t n, real scale_, const real* intercept,
) noexcept nogil:
    if real is float:
        if wide:
            skm_forward_float_int64_t(
                z, n_labels, W, stride, <const int64_t*>columns, x, n, scale_, intercept)
        else:
            skm_forward_float_int32_t(
                z, n_labels, W, stride, <const int32_t*>columns, x, n, scale_, intercept)
    else:
        if wide:
            skm_forward_double_int64_t(
                z, n_labels, W, stride, <const int64_t*>columns, x, n, scale_, intercept)
        else:
            skm_forward_double_int32_t(
                z, n_labels, W, stride, <const int32_t*>columns, x, n, scale_, intercept)


cdef inline void update(
    real* W, int64_t stride, const void* columns, bint wide, const real* x, int64_t n,
    real step, const real* g, int64_t n_labels,
) noexcept nogil:
    if real is float:
        if wide:
            skm_update_float_int64_t(
                W, stride, <const int64_t*>columns, x, n, step, g, n_labels)
        else:
            skm_update_float_int32_t(
                W, stride, <const int32_t*>columns, x, n, step, g, n_labels)
    else:
        if wide:
            skm_update_double_int64_t(
                W, stride, <const int64_t*>columns, x, n, step, g, n_labels)
        else:
            skm_update_double_int32_t(
                W, stride, <const int32_t*>columns, x, n, step, g, n_labels)
