/* Texts to rows of counted n-grams: loops of text.pyx, without Python objects.

   A document is normalised once into a buffer of UTF-8 (lone surrogates as three bytes):
   lower-cased, its tokens with one space between each two, or its characters with runs of
   white space collapsed. Every n-gram is a slice of that buffer. Slices wait in a small
   batch while the table's lines are fetched, then are looked up, inserted or hashed.

   A slice of at most 7 bytes is its own key, with its length as the top byte; longer ones
   have a hash with 0xff there, and their bytes are compared. Both are mixed with a random
   seed to find the slot, so that nobody can prepare texts whose terms collide; no result
   depends on the seed. */
#ifndef SKM_TEXT_H
#define SKM_TEXT_H

#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define SKM_FETCH(p) __builtin_prefetch(p)
#define SKM_HOT static inline __attribute__((always_inline, unused))
#define SKM_FUN static __attribute__((unused))
#else
#define SKM_FETCH(p) ((void)0)
#define SKM_HOT static __forceinline
#define SKM_FUN static
#endif

enum { SKM_WORD = 0, SKM_CHAR = 1, SKM_CHAR_WB = 2 };
enum { SKM_FIT = 0, SKM_LOOKUP = 1, SKM_HASH = 2 };
enum { SKM_IS_WORD = 1, SKM_NOT_SPACE = 2 };
enum { SKM_INT32 = 0, SKM_INT64 = 1, SKM_FLOAT32 = 2, SKM_FLOAT64 = 3 };
/* What a text needs that is not done here. */
enum { SKM_DONE = 0, SKM_NEEDS_LOWER = 1, SKM_SURROGATE = 2, SKM_NO_MEMORY = -1 };

#define SKM_PAD 16           /* bytes that may be read behind a slice */
#define SKM_BATCH 64         /* slices that wait */
#define SKM_SHORT 4          /* words of slices that are hashed without a loop */
#define SKM_FEW 20           /* entries that are sorted by insertion */
#define SKM_CACHED 0x3000    /* code points with a line in the tables below */
#define SKM_LONG (0xffULL << 56)

static uint16_t skm_lower_table[SKM_CACHED];
static uint8_t skm_class_table[SKM_CACHED];

SKM_HOT uint8_t skm_find_class(Py_UCS4 c)
{
    return (uint8_t)((Py_UNICODE_ISALNUM(c) || c == '_' ? SKM_IS_WORD : 0)
                     | (Py_UNICODE_ISSPACE(c) ? 0 : SKM_NOT_SPACE));
}

SKM_FUN void skm_text_init(void)
{
    Py_UCS4 c;
    for (c = 0; c < SKM_CACHED; c++) {
        Py_UCS4 lower = Py_UNICODE_TOLOWER(c);
        skm_lower_table[c] = (uint16_t)lower;
        skm_class_table[c] = skm_find_class(c);
    }
}

SKM_HOT Py_UCS4 skm_lower(Py_UCS4 c)
{
    return c < SKM_CACHED ? skm_lower_table[c] : Py_UNICODE_TOLOWER(c);
}

SKM_HOT uint8_t skm_class(Py_UCS4 c)
{
    return c < SKM_CACHED ? skm_class_table[c] : skm_find_class(c);
}

/* ---- memory ---- */

/* Room for ``needed`` items of ``size`` bytes; 0 if there is none. */
SKM_FUN int skm_grow(void **data, size_t *capacity, size_t needed, size_t size)
{
    size_t wanted = *capacity + *capacity / 2 + 64;
    void *grown;
    if (needed <= *capacity)
        return 1;
    if (wanted < needed)
        wanted = needed;
    if (wanted > (SIZE_MAX >> 1) / size)
        return 0;
    grown = realloc(*data, wanted * size);
    if (!grown)
        return 0;
    *data = grown;
    *capacity = wanted;
    return 1;
}

/* ---- hashes ---- */

SKM_HOT uint64_t skm_load64(const uint8_t *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

SKM_HOT uint32_t skm_load32(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

/* Both halves of the product, folded. */
SKM_HOT uint64_t skm_mix(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t low = (a & 0xffffffff) * (b & 0xffffffff);
    uint64_t middle = (a >> 32) * (b & 0xffffffff) + (low >> 32);
    uint64_t other = (a & 0xffffffff) * (b >> 32) + (middle & 0xffffffff);
    uint64_t high = (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
    return ((other << 32) | (low & 0xffffffff)) ^ high;
#endif
}

/* The key of a slice behind which SKM_PAD bytes may be read. */
SKM_HOT uint64_t skm_key(const uint8_t *p, size_t n, const uint64_t *seed)
{
    uint64_t h, x;
    if (n < 8) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        x = n ? skm_load64(p) >> (64 - 8 * n) : 0;
#else
        x = skm_load64(p) & ((1ULL << (8 * n)) - 1);
#endif
        return x | ((uint64_t)n << 56);
    }
    h = seed[0] ^ n;
    while (n > 16) {
        h = skm_mix(skm_load64(p) ^ seed[1], skm_load64(p + 8) ^ h);
        p += 16;
        n -= 16;
    }
    /* 16 last bytes at most, of which some may have been read above. */
    x = n >= 8 ? skm_load64(p) : 0;
    h = skm_mix(x ^ seed[1], skm_load64(p + n - 8) ^ h);
    return h | SKM_LONG;
}

SKM_HOT uint32_t skm_murmur_word(uint32_t k)
{
    k *= 0xcc9e2d51u;
    return ((k << 15) | (k >> 17)) * 0x1b873593u;
}

SKM_HOT uint32_t skm_murmur_round(uint32_t h, const uint8_t *p)
{
    h ^= skm_murmur_word(skm_load32(p));
    return ((h << 13) | (h >> 19)) * 5 + 0xe6546b64u;
}

/* MurmurHash3_x86_32 (Appleby) with seed 0. The words of short slices are all mixed, and those
   behind the end not taken: no branch depends on the length, which nobody can predict. */
SKM_HOT int32_t skm_murmur(const uint8_t *p, size_t n)
{
    const size_t n_words = n / 4;
    const uint8_t *end = p + 4 * n_words;
    uint32_t h = 0, next;
    size_t i;
    if (n_words <= SKM_SHORT) {
        for (i = 0; i < SKM_SHORT; i++) {
            next = skm_murmur_round(h, p + 4 * i);
            h = i < n_words ? next : h;
        }
    } else {
        for (; p < end; p += 4)
            h = skm_murmur_round(h, p);
    }
    /* The bytes that are left; without any this changes nothing. */
    next = end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16;
    h ^= skm_murmur_word(next & ((1u << (8 * (n & 3))) - 1));
    h ^= (uint32_t)n;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    h ^= h >> 16;
    return (int32_t)h;
}

/* ---- table of terms ---- */

typedef struct {
    uint64_t key;
    uint32_t id;   /* number of the term + 1, 0: empty */
    uint32_t last; /* where a row that was counted last has it, modulo 2^32 */
} SkmSlot;

typedef struct {
    SkmSlot *slots;
    size_t mask; /* number of slots - 1 */
    uint8_t *bytes;
    size_t n_bytes, bytes_capacity;
    size_t *starts; /* n_terms + 1 */
    size_t starts_capacity;
    size_t n_terms;
    uint64_t seed[3];
} SkmTerms;

SKM_HOT uint64_t skm_place(const SkmTerms *t, uint64_t key)
{
    return skm_mix(key ^ t->seed[2], t->seed[1] | 1);
}

SKM_FUN int skm_terms_resize(SkmTerms *t, size_t n_slots)
{
    SkmSlot *slots = calloc(n_slots, sizeof(SkmSlot));
    size_t i, to;
    if (!slots)
        return 0;
    for (i = 0; t->slots && i <= t->mask; i++) {
        if (!t->slots[i].id)
            continue;
        to = skm_place(t, t->slots[i].key) & (n_slots - 1);
        while (slots[to].id)
            to = (to + 1) & (n_slots - 1);
        slots[to] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->mask = n_slots - 1;
    return 1;
}

SKM_FUN int skm_terms_init(SkmTerms *t)
{
    void *starts = NULL;
    if (!skm_grow(&starts, &t->starts_capacity, 1, sizeof(size_t)))
        return 0;
    t->starts = starts;
    t->starts[0] = 0;
    return skm_terms_resize(t, 256);
}

SKM_FUN void skm_terms_free(SkmTerms *t)
{
    free(t->slots);
    free(t->bytes);
    free(t->starts);
    memset(t, 0, sizeof(SkmTerms));
}

/* The slot that has the term, or the empty one where it belongs. */
SKM_HOT SkmSlot *skm_terms_slot(
    const SkmTerms *t, uint64_t key, uint64_t place, const uint8_t *p, size_t n)
{
    size_t at = place & t->mask;
    for (;; at = (at + 1) & t->mask) {
        SkmSlot *slot = t->slots + at;
        if (!slot->id)
            return slot;
        if (slot->key != key)
            continue;
        if (key >= SKM_LONG) {
            size_t start = t->starts[slot->id - 1];
            if (t->starts[slot->id] - start != n || memcmp(t->bytes + start, p, n))
                continue;
        }
        return slot;
    }
}

/* The slot of a new term, ``slot`` being where it belongs; NULL: no memory. */
SKM_FUN SkmSlot *skm_terms_insert(
    SkmTerms *t, SkmSlot *slot, uint64_t key, uint64_t place, const uint8_t *p, size_t n)
{
    void *bytes = t->bytes, *starts = t->starts;
    if (t->n_terms >= INT32_MAX
        || !skm_grow(&bytes, &t->bytes_capacity, t->n_bytes + n + SKM_PAD, 1))
        return NULL;
    t->bytes = bytes;
    if (!skm_grow(&starts, &t->starts_capacity, t->n_terms + 2, sizeof(size_t)))
        return NULL;
    t->starts = starts;
    if (t->n_terms >= t->mask / 8 * 5) {
        if (!skm_terms_resize(t, (t->mask + 1) * (t->mask < 1 << 16 ? 4 : 2)))
            return NULL;
        slot = skm_terms_slot(t, key, place, p, n);
    }
    memcpy(t->bytes + t->n_bytes, p, n);
    t->n_bytes += n;
    t->n_terms++;
    t->starts[t->n_terms] = t->n_bytes;
    slot->key = key;
    slot->id = (uint32_t)t->n_terms;
    slot->last = 0;
    return slot;
}

/* Adds a term; its number, whether it was there or not; -1: no memory. */
SKM_FUN int64_t skm_terms_add(SkmTerms *t, const uint8_t *p, size_t n)
{
    uint64_t key = skm_key(p, n, t->seed), place = skm_place(t, key);
    SkmSlot *slot = skm_terms_slot(t, key, place, p, n);
    if (!slot->id)
        slot = skm_terms_insert(t, slot, key, place, p, n);
    return slot ? (int64_t)slot->id - 1 : -1;
}

/* Numbers of the terms of ``from`` among those of ``t``, to which new ones are added. */
SKM_FUN int skm_terms_merge(SkmTerms *t, const SkmTerms *from, int32_t *numbers)
{
    size_t i;
    for (i = 0; i < from->n_terms; i++) {
        size_t start = from->starts[i];
        int64_t id = skm_terms_add(t, from->bytes + start, from->starts[i + 1] - start);
        if (id < 0)
            return 0;
        numbers[i] = (int32_t)id;
    }
    return 1;
}

typedef struct {
    uint64_t head[2]; /* first 16 bytes, the first one on top */
    uint32_t id;
} SkmSortKey;

SKM_HOT int skm_term_less(const SkmTerms *t, const SkmSortKey *a, const SkmSortKey *b)
{
    size_t na, nb;
    int order;
    if (a->head[0] != b->head[0])
        return a->head[0] < b->head[0];
    if (a->head[1] != b->head[1])
        return a->head[1] < b->head[1];
    na = t->starts[a->id + 1] - t->starts[a->id];
    nb = t->starts[b->id + 1] - t->starts[b->id];
    order = memcmp(t->bytes + t->starts[a->id], t->bytes + t->starts[b->id], na < nb ? na : nb);
    return order ? order < 0 : na < nb;
}

/* Quicksort with pivots drawn at random: no order of the terms is slow. */
SKM_FUN void skm_quicksort(const SkmTerms *t, SkmSortKey *keys, size_t n, uint64_t state)
{
    size_t i, j;
    SkmSortKey moved;
    while (n > 12) {
        SkmSortKey pivot;
        state = skm_mix(state ^ t->seed[0], t->seed[1] | 1) + n;
        pivot = keys[state % n];
        for (i = 0, j = n - 1;; i++, j--) {
            while (skm_term_less(t, keys + i, &pivot))
                i++;
            while (skm_term_less(t, &pivot, keys + j))
                j--;
            if (i >= j)
                break;
            moved = keys[i];
            keys[i] = keys[j];
            keys[j] = moved;
        }
        /* The smaller part by a call, so that calls are at most log2(n) deep. */
        j++;
        if (j < n - j) {
            skm_quicksort(t, keys, j, state);
            keys += j;
            n -= j;
        } else {
            skm_quicksort(t, keys + j, n - j, state);
            n = j;
        }
    }
    for (i = 1; i < n; i++) {
        moved = keys[i];
        for (j = i; j > 0 && skm_term_less(t, &moved, keys + j - 1); j--)
            keys[j] = keys[j - 1];
        keys[j] = moved;
    }
}

/* The first bytes of a term as a number that is in their order; 8 bytes can be read. */
SKM_HOT uint64_t skm_head(const uint8_t *p, size_t n)
{
    uint64_t x = 0;
    size_t i;
    for (i = 0; i < 8; i++)
        x = (x << 8) | p[i];
    return n < 8 ? x & ~(UINT64_MAX >> (8 * n)) : x;
}

/* ``ids`` in the order of the terms' code points, which is that of their UTF-8. First by two
   bytes, all at once, then each stretch of equal ones. */
SKM_FUN int skm_terms_sort(const SkmTerms *t, int32_t *ids, size_t n)
{
    SkmSortKey *keys = malloc((n + 1) * sizeof(SkmSortKey));
    size_t *ends = calloc(1 << 16, sizeof(size_t));
    size_t i, sum = 0;
    int ok = keys && ends;
    for (i = 0; ok && i < n; i++)
        ends[skm_head(t->bytes + t->starts[ids[i]],
                      t->starts[ids[i] + 1] - t->starts[ids[i]]) >> 48]++;
    for (i = 0; ok && i < 1 << 16; i++) {
        size_t count = ends[i];
        ends[i] = sum;
        sum += count;
    }
    for (i = 0; ok && i < n; i++) {
        const uint8_t *p = t->bytes + t->starts[ids[i]];
        size_t length = t->starts[ids[i] + 1] - t->starts[ids[i]];
        uint64_t head = skm_head(p, length);
        SkmSortKey *key = keys + ends[head >> 48]++;
        key->head[0] = head;
        key->head[1] = length > 8 ? skm_head(p + 8, length - 8) : 0;
        key->id = (uint32_t)ids[i];
    }
    for (i = 0, sum = 0; ok && i < 1 << 16; i++) {
        if (ends[i] - sum > 1)
            skm_quicksort(t, keys + sum, ends[i] - sum, n);
        sum = ends[i];
    }
    for (i = 0; ok && i < n; i++)
        ids[i] = (int32_t)keys[i].id;
    free(keys);
    free(ends);
    return ok;
}

/* ---- one text to a row ---- */

typedef struct {
    const void *data;
    size_t n;
    int kind;  /* bytes of a code point */
    int ascii;
    int lower; /* still to be lower-cased */
} SkmText;

typedef struct {
    uint64_t key, place;
    size_t start, n;
} SkmSlice;

typedef struct {
    size_t start, end;
} SkmToken;

typedef struct {
    int analyzer, mode, token_class;
    size_t min_n, max_n, min_chars;
    uint32_t n_features, feature_mask; /* hashing; the mask is 0 unless n is a power of 2 */
    int alternate_sign; /* 0 or 1 */
    int32_t largest;    /* where sums of ones stop to grow in the type of the result */
    SkmTerms *terms;    /* what is counted, or what to look up */
    SkmTerms *stop_words; /* may be NULL */
    uint64_t seed[3];
    uint8_t *buffer;
    size_t buffer_capacity, n_buffer;
    SkmToken *tokens;
    size_t tokens_capacity, n_tokens;
    SkmSlice slices[SKM_BATCH];
    int n_slices, ascii, failed;
    uint64_t *row, *scratch; /* of the row: column << 32 | count or sign */
    size_t row_capacity, scratch_capacity, n_row;
    int32_t *counts; /* of the row */
    size_t counts_capacity;
    int32_t *indices;
    void *values; /* of all rows, of the type that the matrix has in the end */
    int value_type;
    size_t indices_capacity, values_capacity, n_out, row_start;
    int64_t *offsets; /* of the rows: n_rows + 1 of them, NULL before the first row */
    size_t offsets_capacity, n_rows;
    uint64_t n_seen; /* n-grams, repeated ones as well */
} SkmRows;

SKM_FUN void skm_rows_free(SkmRows *r)
{
    free(r->buffer);
    free(r->tokens);
    free(r->row);
    free(r->scratch);
    free(r->counts);
    free(r->indices);
    free(r->values);
    free(r->offsets);
    memset(r, 0, sizeof(SkmRows));
}

/* The output belongs to somebody else now. */
SKM_FUN void skm_forget(SkmRows *r)
{
    r->indices = NULL;
    r->values = NULL;
    r->offsets = NULL;
    r->indices_capacity = r->values_capacity = r->offsets_capacity = 0;
    r->n_out = r->row_start = r->n_rows = 0;
    r->n_seen = 0;
}

/* Room for n more entries of the row. */
SKM_HOT int skm_room_out(SkmRows *r, size_t n)
{
    void *indices = r->indices, *counts = r->counts;
    size_t n_out = r->n_out + n, n_row = n_out - r->row_start;
    int ok;
    if (n_out <= r->indices_capacity && n_row <= r->counts_capacity)
        return 1;
    ok = skm_grow(&indices, &r->indices_capacity, n_out, sizeof(int32_t));
    r->indices = indices;
    ok = ok && skm_grow(&counts, &r->counts_capacity, n_row, sizeof(int32_t));
    r->counts = counts;
    return ok;
}

SKM_HOT size_t skm_value_size(int value_type)
{
    return value_type == SKM_INT32 || value_type == SKM_FLOAT32 ? 4 : 8;
}

/* Counts of the row behind those of the rows before it: converted while they are in cache,
   into memory that is touched for the first time, once. */
SKM_FUN int skm_store_counts(SkmRows *r)
{
    size_t i, n = r->n_out - r->row_start;
    const int32_t *counts = r->counts;
    void *values = r->values;
    if (!n)
        return 1;
    if (!skm_grow(&values, &r->values_capacity, r->n_out, skm_value_size(r->value_type)))
        return 0;
    r->values = values;
    if (r->value_type == SKM_INT32) {
        int32_t *out = (int32_t *)values + r->row_start;
        for (i = 0; i < n; i++)
            out[i] = counts[i];
    } else if (r->value_type == SKM_INT64) {
        int64_t *out = (int64_t *)values + r->row_start;
        for (i = 0; i < n; i++)
            out[i] = counts[i];
    } else if (r->value_type == SKM_FLOAT32) {
        float *out = (float *)values + r->row_start;
        for (i = 0; i < n; i++)
            out[i] = (float)counts[i];
    } else {
        double *out = (double *)values + r->row_start;
        for (i = 0; i < n; i++)
            out[i] = counts[i];
    }
    return 1;
}

/* Count the slices that wait. */
SKM_FUN void skm_flush_fit(SkmRows *r)
{
    SkmTerms *t = r->terms;
    int i;
    if (!skm_room_out(r, SKM_BATCH)) {
        r->failed = 1;
        r->n_slices = 0;
    }
    for (i = 0; i < r->n_slices; i++) {
        const SkmSlice *s = r->slices + i;
        const uint8_t *p = r->buffer + s->start;
        SkmSlot *slot = skm_terms_slot(t, s->key, s->place, p, s->n);
        if (slot->id) {
            size_t last = r->row_start + (uint32_t)(slot->last - (uint32_t)r->row_start);
            if (last < r->n_out && r->indices[last] == (int32_t)(slot->id - 1)) {
                r->counts[last - r->row_start]++;
                continue;
            }
        } else {
            slot = skm_terms_insert(t, slot, s->key, s->place, p, s->n);
            if (!slot) {
                r->failed = 1;
                break;
            }
        }
        slot->last = (uint32_t)r->n_out;
        r->indices[r->n_out] = (int32_t)(slot->id - 1);
        r->counts[r->n_out++ - r->row_start] = 1;
    }
    r->n_slices = 0;
}

SKM_FUN int skm_room_row(SkmRows *r, size_t n)
{
    void *row = r->row;
    if (n <= r->row_capacity)
        return 1;
    if (!skm_grow(&row, &r->row_capacity, n, sizeof(uint64_t)))
        return 0;
    r->row = row;
    return 1;
}

SKM_FUN void skm_flush_lookup(SkmRows *r)
{
    int i;
    if (!skm_room_row(r, r->n_row + SKM_BATCH)) {
        r->failed = 1;
        r->n_slices = 0;
    }
    for (i = 0; i < r->n_slices; i++) {
        const SkmSlice *s = r->slices + i;
        SkmSlot *slot =
            skm_terms_slot(r->terms, s->key, s->place, r->buffer + s->start, s->n);
        r->row[r->n_row] = ((uint64_t)(slot->id - 1) << 32) | 1;
        r->n_row += slot->id != 0;
    }
    r->n_slices = 0;
}

SKM_HOT void skm_hash_slice(SkmRows *r, const uint8_t *p, size_t n)
{
    const int32_t h = skm_murmur(p, n);
    /* Every second hash is negative: no branch may depend on it. */
    const uint32_t negative = (uint32_t)h >> 31;
    const uint32_t magnitude = ((uint32_t)h ^ (0 - negative)) + negative;
    uint32_t column;
    if (!skm_room_row(r, r->n_row + 1)) {
        r->failed = 1;
        return;
    }
    if (h == INT32_MIN)
        column = (0x7fffffffu - (r->n_features - 1)) % r->n_features;
    else if (r->feature_mask)
        column = magnitude & r->feature_mask;
    else
        column = magnitude % r->n_features;
    r->row[r->n_row++] =
        ((uint64_t)column << 32) | 1 | (0 - (negative & (uint32_t)r->alternate_sign));
}

/* Slices that wait are done with. */
SKM_FUN int skm_flush_now(SkmRows *r)
{
    if (r->mode == SKM_FIT)
        skm_flush_fit(r);
    else if (r->mode == SKM_LOOKUP)
        skm_flush_lookup(r);
    return !r->failed;
}

SKM_HOT void skm_take(SkmRows *r, const uint8_t *p, size_t n)
{
    if (r->mode == SKM_HASH) {
        skm_hash_slice(r, p, n);
    } else {
        SkmSlice *s = r->slices + r->n_slices;
        s->key = skm_key(p, n, r->seed);
        s->place = skm_place(r->terms, s->key);
        s->start = (size_t)(p - r->buffer);
        s->n = n;
        SKM_FETCH(r->terms->slots + (s->place & r->terms->mask));
        if (++r->n_slices == SKM_BATCH)
            skm_flush_now(r);
    }
}

#define SKM_DIGITS 3
#define SKM_DIGIT_BITS 7

/* Sort at most 65,535 entries by the bits 32 to 32 + bits, at most 21, in as few and as small
   digits as can be, all of which are counted at once; to and fro between a and b. Returns the
   one that has the result. */
SKM_FUN uint64_t *skm_sort_digits(uint64_t *a, uint64_t *b, size_t n, int bits)
{
    uint16_t counts[SKM_DIGITS][1 << SKM_DIGIT_BITS];
    int n_digits = (bits + SKM_DIGIT_BITS - 1) / SKM_DIGIT_BITS;
    int width = (bits + n_digits - 1) / n_digits, digit;
    size_t mask = ((size_t)1 << width) - 1, i;
    for (digit = 0; digit < n_digits; digit++)
        memset(counts[digit], 0, (mask + 1) * sizeof(uint16_t));
    for (i = 0; i < n; i++) {
        size_t value = (size_t)(a[i] >> 32);
        for (digit = 0; digit < n_digits; digit++, value >>= width)
            counts[digit][value & mask]++;
    }
    for (digit = 0; digit < n_digits; digit++) {
        uint16_t *places = counts[digit], sum = 0;
        int shift = 32 + digit * width;
        uint64_t *swap = a;
        for (i = 0; i <= mask; i++) {
            uint16_t count = places[i];
            places[i] = sum;
            sum = (uint16_t)(sum + count);
        }
        for (i = 0; i < n; i++)
            b[places[(a[i] >> shift) & mask]++] = a[i];
        a = b;
        b = swap;
    }
    return a;
}

/* Sort by the upper halves, of which ``bits`` bits count, keeping the order of equal ones. */
SKM_FUN int skm_sort_row(SkmRows *r, int bits)
{
    uint64_t *a = r->row, *b;
    size_t n = r->n_row, i, j;
    int shift;
    void *scratch = r->scratch;
    if (n <= SKM_FEW) {
        for (i = 1; i < n; i++) {
            uint64_t moved = a[i];
            for (j = i; j > 0 && a[j - 1] >> 32 > moved >> 32; j--)
                a[j] = a[j - 1];
            a[j] = moved;
        }
        return 1;
    }
    if (!skm_grow(&scratch, &r->scratch_capacity, n > r->row_capacity ? n : r->row_capacity,
                  sizeof(uint64_t)))
        return 0;
    r->scratch = scratch;
    b = r->scratch;
    if (n < 1 << 16 && bits <= SKM_DIGITS * SKM_DIGIT_BITS) {
        a = skm_sort_digits(a, b, n, bits);
        bits = 0;
    }
    for (shift = 32; shift < 32 + bits; shift += 8) {
        size_t counts[256] = {0}, sum = 0;
        for (i = 0; i < n; i++)
            counts[(a[i] >> shift) & 255]++;
        if (counts[(a[0] >> shift) & 255] == n)
            continue;
        for (i = 0; i < 256; i++) {
            size_t count = counts[i];
            counts[i] = sum;
            sum += count;
        }
        for (i = 0; i < n; i++)
            b[counts[(a[i] >> shift) & 255]++] = a[i];
        {
            uint64_t *swap = a;
            a = b;
            b = swap;
        }
    }
    if (a != r->row) {
        size_t capacity = r->row_capacity;
        r->scratch = r->row;
        r->row = a;
        r->row_capacity = r->scratch_capacity;
        r->scratch_capacity = capacity;
    }
    return 1;
}

SKM_HOT int skm_bits(uint64_t n)
{
    int bits = 1;
    while (bits < 32 && n >> bits)
        bits++;
    return bits;
}

/* Columns of a row in ascending order, counts with them. */
SKM_FUN int skm_sort_counts(SkmRows *r, int32_t *columns, int32_t *counts, size_t n)
{
    size_t i;
    for (i = 1; i < n && columns[i - 1] <= columns[i]; i++) {}
    if (i >= n)
        return 1;
    if (!skm_room_row(r, n))
        return 0;
    for (i = 0; i < n; i++)
        r->row[i] = ((uint64_t)(uint32_t)columns[i] << 32) | (uint32_t)counts[i];
    r->n_row = n;
    if (!skm_sort_row(r, skm_bits(r->terms->n_terms)))
        return 0;
    for (i = 0; i < n; i++) {
        columns[i] = (int32_t)(r->row[i] >> 32);
        counts[i] = (int32_t)(uint32_t)r->row[i];
    }
    return 1;
}

/* Entries of equal columns of the sorted row as one, zeros too. */
SKM_FUN int skm_sum_row(SkmRows *r)
{
    size_t i = 0;
    if (!skm_room_out(r, r->n_row))
        return 0;
    while (i < r->n_row) {
        uint32_t column = (uint32_t)(r->row[i] >> 32);
        int64_t sum = 0;
        for (; i < r->n_row && r->row[i] >> 32 == column; i++)
            sum += (int32_t)(uint32_t)r->row[i];
        if (sum > r->largest)
            sum = r->largest;
        if (sum < -(int64_t)r->largest)
            sum = -(int64_t)r->largest;
        r->indices[r->n_out] = (int32_t)column;
        r->counts[r->n_out++ - r->row_start] = (int32_t)sum;
    }
    return 1;
}

/* End a row whose n-grams were all taken. ``sorted``: its columns are wanted in order. */
SKM_FUN int skm_end_row(SkmRows *r, int sorted)
{
    void *offsets = r->offsets;
    int ok;
    if (r->mode == SKM_FIT) {
        skm_flush_fit(r);
        r->n_seen = r->n_out;
        ok = !r->failed
             && (!sorted
                 || skm_sort_counts(r, r->indices + r->row_start, r->counts,
                                    r->n_out - r->row_start));
    } else {
        if (r->mode == SKM_LOOKUP)
            skm_flush_lookup(r);
        r->n_seen += r->n_row;
        ok = !r->failed
             && skm_sort_row(r, skm_bits(r->mode == SKM_HASH ? r->n_features
                                                             : r->terms->n_terms))
             && skm_sum_row(r);
    }
    if (!ok || !skm_store_counts(r)
        || !skm_grow(&offsets, &r->offsets_capacity, r->n_rows + 2, sizeof(int64_t)))
        return 0;
    r->offsets = offsets;
    r->offsets[0] = 0;
    r->offsets[++r->n_rows] = (int64_t)r->n_out;
    r->row_start = r->n_out;
    r->n_row = 0;
    return 1;
}

/* Columns of another table instead of this one's, in order. Values are int32. */
SKM_FUN int skm_rename(SkmRows *r, const int32_t *numbers, SkmTerms *terms)
{
    size_t i, row, start = 0;
    r->terms = terms;
    for (row = 0; row < r->n_rows; row++) {
        size_t end = (size_t)r->offsets[row + 1];
        for (i = start; i < end; i++)
            r->indices[i] = numbers[r->indices[i]];
        if (!skm_sort_counts(r, r->indices + start, (int32_t *)r->values + start, end - start))
            return 0;
        start = end;
    }
    return 1;
}

/* ---- normalised text ---- */

SKM_HOT Py_UCS4 skm_read(const SkmText *d, size_t i)
{
    return d->kind == 1 ? ((const uint8_t *)d->data)[i]
         : d->kind == 2 ? ((const uint16_t *)d->data)[i] : ((const uint32_t *)d->data)[i];
}

SKM_HOT size_t skm_put(uint8_t *p, Py_UCS4 c)
{
    if (c < 0x80) {
        p[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (uint8_t)(0xc0 | (c >> 6));
        p[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (uint8_t)(0xe0 | (c >> 12));
        p[1] = (uint8_t)(0x80 | ((c >> 6) & 63));
        p[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    p[0] = (uint8_t)(0xf0 | (c >> 18));
    p[1] = (uint8_t)(0x80 | ((c >> 12) & 63));
    p[2] = (uint8_t)(0x80 | ((c >> 6) & 63));
    p[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* A buffer in which a text has room whatever its characters become: lower case stays
   within the code points that the text's kind can hold. */
SKM_FUN int skm_buffer(SkmRows *r, const SkmText *d)
{
    void *buffer = r->buffer;
    size_t widest = d->ascii ? 1 : d->kind == 1 ? 2 : d->kind == 2 ? 3 : 4;
    if (d->n > (SIZE_MAX >> 3)
        || !skm_grow(&buffer, &r->buffer_capacity, d->n * widest + 2 + SKM_PAD, 1))
        return 0;
    r->buffer = buffer;
    return 1;
}

SKM_HOT int skm_is_stop_word(const SkmRows *r, size_t start, size_t end)
{
    const SkmTerms *t = r->stop_words;
    const uint8_t *p = r->buffer + start;
    uint64_t key = skm_key(p, end - start, t->seed);
    return skm_terms_slot(t, key, skm_place(t, key), p, end - start)->id != 0;
}

SKM_HOT int skm_add_token(SkmRows *r, size_t start, size_t end)
{
    void *tokens = r->tokens;
    if (!skm_grow(&tokens, &r->tokens_capacity, r->n_tokens + 1, sizeof(SkmToken)))
        return 0;
    r->tokens = tokens;
    r->tokens[r->n_tokens].start = start;
    r->tokens[r->n_tokens++].end = end;
    return 1;
}

/* Tokens into the buffer, one space between each two and one before and behind. */
SKM_FUN int skm_tokenise(SkmRows *r, const SkmText *d)
{
    const uint8_t *bytes = d->data;
    uint8_t *out;
    uint8_t wanted = (uint8_t)r->token_class, fold[128];
    size_t i = 0, w = 0, n = d->n;
    if (!skm_buffer(r, d))
        return SKM_NO_MEMORY;
    out = r->buffer;
    out[w++] = ' ';
    r->n_tokens = 0;
    if (d->lower)
        for (i = 0; i < 128; i++)
            fold[i] = (uint8_t)skm_lower_table[i];
    else
        for (i = 0; i < 128; i++)
            fold[i] = (uint8_t)i;
    i = 0;
    while (i < n) {
        size_t start = w, chars = 0;
        if (d->ascii) {
            while (i < n && !(skm_class_table[bytes[i]] & wanted))
                i++;
            while (i < n && skm_class_table[bytes[i]] & wanted)
                out[w++] = fold[bytes[i++]];
            chars = w - start;
        } else {
            for (; i < n; i++) {
                Py_UCS4 c = skm_read(d, i);
                if (d->lower) {
                    if (c == 0x130 || c == 0x3a3)
                        return SKM_NEEDS_LOWER;
                    c = skm_lower(c);
                }
                if (!(skm_class(c) & wanted)) {
                    if (chars)
                        break;
                    continue;
                }
                if (c >= 0xd800 && c < 0xe000 && r->mode == SKM_HASH)
                    return SKM_SURROGATE;
                w += skm_put(out + w, c);
                chars++;
            }
        }
        if (chars) {
            if (chars < r->min_chars || (r->stop_words && skm_is_stop_word(r, start, w))) {
                w = start;
            } else {
                if (!skm_add_token(r, start, w))
                    return SKM_NO_MEMORY;
                out[w++] = ' ';
            }
        }
    }
    r->n_buffer = w;
    memset(out + w, 0, 8);
    return SKM_DONE;
}

/* All characters into the buffer, runs of two or more blanks as one space. */
SKM_FUN int skm_characters(SkmRows *r, const SkmText *d)
{
    uint8_t *out;
    size_t i, w = 0, start = 0, blanks = 0;
    if (!skm_buffer(r, d))
        return SKM_NO_MEMORY;
    out = r->buffer;
    for (i = 0; i < d->n; i++) {
        Py_UCS4 c = skm_read(d, i);
        if (d->lower) {
            if (c == 0x130 || c == 0x3a3)
                return SKM_NEEDS_LOWER;
            c = skm_lower(c);
        }
        if (skm_class(c) & SKM_NOT_SPACE) {
            blanks = 0;
            if (c >= 0xd800 && c < 0xe000 && r->mode == SKM_HASH)
                return SKM_SURROGATE;
        } else if (blanks++) {
            w = start;
            c = ' ';
        } else {
            start = w;
        }
        w += skm_put(out + w, c);
    }
    r->n_buffer = w;
    memset(out + w, 0, 8);
    return SKM_DONE;
}

/* A term as it is, for tables and for what Python has analysed. */
SKM_FUN int skm_encode(SkmRows *r, const SkmText *d)
{
    size_t i, w = 0;
    if (!skm_buffer(r, d))
        return SKM_NO_MEMORY;
    if (d->ascii) {
        memcpy(r->buffer, d->data, d->n);
        w = d->n;
    } else {
        for (i = 0; i < d->n; i++)
            w += skm_put(r->buffer + w, skm_read(d, i));
    }
    r->n_buffer = w;
    memset(r->buffer + w, 0, 8);
    return SKM_DONE;
}

/* ---- n-grams ---- */

/* First byte of the next character. */
SKM_HOT const uint8_t *skm_next(const uint8_t *p)
{
    return p + (*p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4);
}

/* The slices of n characters, from left to right. ``whole``: a shorter stretch is one.
   0: there is no second one. */
SKM_HOT int skm_slide(SkmRows *r, const uint8_t *p, const uint8_t *end, size_t n, int whole)
{
    const uint8_t *q = p;
    size_t i;
    if (r->ascii) {
        if ((size_t)(end - p) <= n) {
            if (whole || (size_t)(end - p) == n)
                skm_take(r, p, (size_t)(end - p));
            return 0;
        }
        for (q = p + n; q <= end; p++, q++)
            skm_take(r, p, n);
        return 1;
    }
    for (i = 0; i < n && q < end; i++)
        q = skm_next(q);
    if (i == n || whole)
        skm_take(r, p, (size_t)(q - p));
    if (q == end)
        return 0;
    while (q < end) {
        p = skm_next(p);
        q = skm_next(q);
        skm_take(r, p, (size_t)(q - p));
    }
    return 1;
}

SKM_FUN void skm_word_ngrams(SkmRows *r)
{
    const SkmToken *tokens = r->tokens;
    size_t n, i, min_n = r->max_n == 1 ? 1 : r->min_n;
    for (n = min_n; n <= r->max_n && n <= r->n_tokens; n++)
        for (i = 0; i + n <= r->n_tokens; i++)
            if (n)
                skm_take(r, r->buffer + tokens[i].start,
                         tokens[i + n - 1].end - tokens[i].start);
            else
                skm_take(r, r->buffer, 0);
}

SKM_FUN void skm_char_ngrams(SkmRows *r)
{
    const uint8_t *end = r->buffer + r->n_buffer;
    size_t n;
    for (n = r->min_n; n <= r->max_n && n <= r->n_buffer; n++)
        if (!skm_slide(r, r->buffer, end, n, 0) && n)
            break;
}

SKM_FUN void skm_char_wb_ngrams(SkmRows *r)
{
    size_t i, n;
    for (i = 0; i < r->n_tokens; i++)
        for (n = r->min_n; n <= r->max_n; n++)
            if (!skm_slide(r, r->buffer + r->tokens[i].start - 1,
                           r->buffer + r->tokens[i].end + 1, n, 1))
                break;
}

/* One text as the next row. Nothing was taken unless SKM_DONE is returned. */
SKM_FUN int skm_read_text(SkmRows *r, const SkmText *d, int sorted)
{
    int status = r->analyzer == SKM_CHAR ? skm_characters(r, d) : skm_tokenise(r, d);
    if (status != SKM_DONE)
        return status;
    r->ascii = d->ascii;
    if (r->analyzer == SKM_WORD)
        skm_word_ngrams(r);
    else if (r->analyzer == SKM_CHAR)
        skm_char_ngrams(r);
    else
        skm_char_wb_ngrams(r);
    return skm_end_row(r, sorted) ? SKM_DONE : SKM_NO_MEMORY;
}

#endif
