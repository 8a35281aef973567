/* Loops of the MLP kernel beside those of simd.h, and the barrier of its threads. The file
   includes itself once for each value type T. */
#ifndef SKM_MLP_H
#define SKM_MLP_H

#include "simd.h"

/* Threads that meet every few microseconds, or every few hundred nanoseconds, wait for each
   other like this: they spin; after some time they let others have their core at each turn,
   because the awaited thread may need it; if that takes long they sleep, because then another
   process has the core of the awaited thread. Sleeping early is slow: waking up takes longer
   than a batch's work (cooking questions, two threads, sleeping after 2,000 pauses: 1.32
   instead of 0.60 s where a pause is long). */
#if defined(__GNUC__) || defined(__clang__)
#define SKM_HAS_BARRIER 1
#if defined(_WIN32)
#define SKM_YIELD() ((void)0)
#define SKM_SLEEP() ((void)0)
#else
#include <sched.h>
#include <time.h>
#define SKM_YIELD() sched_yield()
SKM_INLINE void skm_sleep(void)
{
    const struct timespec pause = {0, 10000};
    nanosleep(&pause, NULL);
}
#define SKM_SLEEP() skm_sleep()
#endif
#if defined(__x86_64__) || defined(__i386__)
#define SKM_PAUSE() __builtin_ia32_pause()
#else
#define SKM_PAUSE() ((void)0)
#endif
SKM_INLINE void skm_pause(int64_t *n_pauses)
{
    if (++*n_pauses < 2000)
        SKM_PAUSE();
    else if (*n_pauses < 20000)
        SKM_YIELD();
    else
        SKM_SLEEP();
}

/* What this thread has written before is there for those that await the value. */
SKM_API void skm_publish(int64_t *flag, int64_t value)
{
    __atomic_store_n(flag, value, __ATOMIC_RELEASE);
}
SKM_API void skm_await(const int64_t *flag, int64_t value)
{
    int64_t n_pauses = 0;
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != value)
        skm_pause(&n_pauses);
}

/* Returns once all threads have called it. state[0] counts arrivals, state[8] the rounds, in
   different cache lines. */
SKM_API void skm_barrier(int64_t *state, int64_t n_threads)
{
    int64_t round, n_pauses = 0;
    if (n_threads == 1)
        return;
    round = __atomic_load_n(state + 8, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(state, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(state, 0, __ATOMIC_RELAXED);
        __atomic_store_n(state + 8, round + 1, __ATOMIC_RELEASE);
        return;
    }
    while (__atomic_load_n(state + 8, __ATOMIC_ACQUIRE) == round)
        skm_pause(&n_pauses);
}
#else
#define SKM_HAS_BARRIER 0
SKM_API void skm_publish(int64_t *flag, int64_t value)
{
    (void)flag;
    (void)value;
}
SKM_API void skm_await(const int64_t *flag, int64_t value)
{
    (void)flag;
    (void)value;
}
SKM_API void skm_barrier(int64_t *state, int64_t n_threads)
{
    (void)state;
    (void)n_threads;
}
#endif

#define T float
#include "simd_mlp.h"
#undef T
#define T double
#include "simd_mlp.h"
#undef T

#elif defined(T)

#define NAME(f) SKM_CAT(f, T)
#define EXP SKM_CAT(skm_exp, T)

/* x . y */
SKM_CLONES SKM_API T NAME(skm_dot)(const T *SKM_RESTRICT x, const T *SKM_RESTRICT y, int64_t n)
{
    int64_t k;
    T sum = 0;
    SKM_SIMD_SUM(sum)
    for (k = 0; k < n; ++k)
        sum += x[k] * y[k];
    return sum;
}

/* z <- exp(z - the maximum of its block), for n blocks that end where the next begins; found
   gets the maximum and the sum of each. */
SKM_CLONES SKM_API void NAME(skm_softmax_blocks)(
    T *SKM_RESTRICT z, const int64_t *SKM_RESTRICT bounds, int64_t n, T *SKM_RESTRICT found)
{
    int64_t block, k;
    for (block = 0; block < n; ++block) {
        const int64_t first = bounds[block], last = bounds[block + 1];
        T top = z[first], sum = 0;
        SKM_SIMD_MAX(top)
        for (k = first; k < last; ++k)
            top = z[k] > top ? z[k] : top;
        SKM_SIMD_SUM(sum)
        for (k = first; k < last; ++k) {
            const T e = EXP(z[k] - top);
            z[k] = e;
            sum += e;
        }
        found[2 * block] = top;
        found[2 * block + 1] = sum;
    }
}

/* z <- z * the factor of its block */
SKM_CLONES SKM_API void NAME(skm_scale_blocks)(
    T *SKM_RESTRICT z, const int64_t *SKM_RESTRICT bounds, int64_t n,
    const T *SKM_RESTRICT factors)
{
    int64_t block, k;
    for (block = 0; block < n; ++block) {
        const T factor = factors[block];
        SKM_SIMD
        for (k = bounds[block]; k < bounds[block + 1]; ++k)
            z[k] *= factor;
    }
}

/* a <- max(a, 0) */
SKM_CLONES SKM_API void NAME(skm_relu)(T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        a[k] = a[k] > 0 ? a[k] : 0;
}

/* d <- d * (a > 0) */
SKM_CLONES SKM_API void NAME(skm_relu_gradient)(
    T *SKM_RESTRICT d, const T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        d[k] = a[k] > 0 ? d[k] : 0;
}

/* a <- tanh a */
SKM_CLONES SKM_API void NAME(skm_tanh)(T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k) {
        const T x = a[k];
        const T e = EXP(x > 0 ? -2 * x : 2 * x);
        const T t = (1 - e) / (1 + e);
        a[k] = x > 0 ? t : -t;
    }
}

/* d <- d * (1 - a^2), a the tanh */
SKM_CLONES SKM_API void NAME(skm_tanh_gradient)(
    T *SKM_RESTRICT d, const T *SKM_RESTRICT a, int64_t n)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        d[k] *= 1 - a[k] * a[k];
}

/* a <- factor * a where kept, 0 elsewhere */
SKM_CLONES SKM_API void NAME(skm_mask)(
    T *SKM_RESTRICT a, const uint8_t *SKM_RESTRICT kept, int64_t n, T factor)
{
    int64_t k;
    SKM_SIMD
    for (k = 0; k < n; ++k)
        a[k] = kept[k] ? factor * a[k] : 0;
}

#undef NAME
#undef EXP

#endif
