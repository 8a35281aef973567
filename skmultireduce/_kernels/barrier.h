/* The barrier of threads, and numbers by which they tell each other that something is there. */
#ifndef SKM_BARRIER_H
#define SKM_BARRIER_H

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

#endif
