/* The barrier of threads, and numbers by which they tell each other that something is there. */
#ifndef SKM_BARRIER_H
#define SKM_BARRIER_H

#include "simd.h"

/* Threads that meet every few microseconds, or every few hundred nanoseconds, wait for each
   other like this: they spin for as long as a meeting takes if each has a core; then they let
   others have their core at each turn, because the awaited thread may need it; then they
   sleep, because another process has the core of one of them. Time counts, not turns: one turn
   may cost a slice of the scheduler's, some milliseconds (two threads on one core, 4,000 rows
   and 200 labels: 1.9 times as long as one thread, after 20,000 turns 9 times). Sleeping at once
   is slow where each has a core: waking up takes longer than a batch's work. */
#if defined(__GNUC__) || defined(__clang__)
#define SKM_HAS_BARRIER 1
#if defined(_WIN32)
#define SKM_YIELD() ((void)0)
#define SKM_SLEEP() ((void)0)
SKM_INLINE int64_t skm_clock(void)
{
    return 0;
}
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
SKM_INLINE int64_t skm_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1000000000 * (int64_t)now.tv_sec + now.tv_nsec;
}
#endif
#if defined(__x86_64__) || defined(__i386__)
#define SKM_PAUSE() __builtin_ia32_pause()
#else
#define SKM_PAUSE() ((void)0)
#endif
#define SKM_SPINS 100
#define SKM_AWAKE_NS 300000
SKM_INLINE void skm_pause(int64_t *turn, int64_t *until)
{
    if (++*turn < SKM_SPINS) {
        SKM_PAUSE();
        return;
    }
    if (*turn == SKM_SPINS)
        *until = skm_clock() + SKM_AWAKE_NS;
    if (skm_clock() < *until)
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
    int64_t turn = 0, until = 0;
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != value)
        skm_pause(&turn, &until);
}

/* Returns once all threads have called it. state[0] counts arrivals, state[8] the rounds, in
   different cache lines. */
SKM_API void skm_barrier(int64_t *state, int64_t n_threads)
{
    int64_t round, turn = 0, until = 0;
    if (n_threads == 1)
        return;
    round = __atomic_load_n(state + 8, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(state, 1, __ATOMIC_ACQ_REL) == n_threads) {
        __atomic_store_n(state, 0, __ATOMIC_RELAXED);
        __atomic_store_n(state + 8, round + 1, __ATOMIC_RELEASE);
        return;
    }
    while (__atomic_load_n(state + 8, __ATOMIC_ACQUIRE) == round)
        skm_pause(&turn, &until);
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
