// SPDX-License-Identifier: Apache-2.0
//
// Atomics with the order in the name. No other file uses <stdatomic.h>, so the orders in use can
// be found with one search. Shared words are plain fixed-width integers (they live in a file
// that two processes map), accessed through these functions only.
//
// Pairing rule: every oh_load_acquire states, at its structure's header, the oh_store_release or
// oh_cas_acq_rel that it pairs with.

#ifndef OH_BASE_ATOMIC_H
#define OH_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

_Static_assert(__atomic_always_lock_free(8, 0), "64-bit atomics must be lock-free");
_Static_assert(__atomic_always_lock_free(4, 0), "32-bit atomics must be lock-free");
_Static_assert(__atomic_always_lock_free(1, 0), "byte atomics must be lock-free");

static inline uint64_t oh_load_relaxed(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint64_t oh_load_acquire(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void oh_store_relaxed(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void oh_store_release(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint64_t oh_add_relaxed(uint64_t *p, uint64_t v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

static inline uint64_t oh_sub_relaxed(uint64_t *p, uint64_t v)
{
    return __atomic_fetch_sub(p, v, __ATOMIC_RELAXED);
}

static inline uint64_t oh_sub_release(uint64_t *p, uint64_t v)
{
    return __atomic_fetch_sub(p, v, __ATOMIC_RELEASE);
}

// Strong; on failure *expected holds the value found (read with acquire).
static inline bool oh_cas_acq_rel(uint64_t *p, uint64_t *expected, uint64_t v)
{
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline bool oh_cas_relaxed(uint64_t *p, uint64_t *expected, uint64_t v)
{
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static inline uint32_t oh_load32_relaxed(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint32_t oh_load32_acquire(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void oh_store32_relaxed(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void oh_store32_release(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint32_t oh_add32_relaxed(uint32_t *p, uint32_t v)
{
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

static inline bool oh_cas32_acq_rel(uint32_t *p, uint32_t *expected, uint32_t v)
{
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline void oh_or_relaxed(uint64_t *p, uint64_t bits)
{
    (void)__atomic_fetch_or(p, bits, __ATOMIC_RELAXED);
}

static inline void oh_or32_relaxed(uint32_t *p, uint32_t bits)
{
    (void)__atomic_fetch_or(p, bits, __ATOMIC_RELAXED);
}

static inline void oh_and32_relaxed(uint32_t *p, uint32_t bits)
{
    (void)__atomic_fetch_and(p, bits, __ATOMIC_RELAXED);
}

static inline void oh_and32_release(uint32_t *p, uint32_t bits)
{
    (void)__atomic_fetch_and(p, bits, __ATOMIC_RELEASE);
}

static inline uint8_t oh_load8_relaxed(const uint8_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

#endif
