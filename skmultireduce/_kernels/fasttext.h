/* Features of fastText (Joulin et al. 2017): words of a dictionary, their subwords, and word
   n-grams, the latter two in buckets of hashes. The columns of a row are summed up by text.h.

   As fastText does it: FNV-1a over bytes that are extended with their sign; a word n-gram is
   h * 116049371 + hash of the next word, in 64 bits, over the hashes of all words, known or
   not, with their sign; subwords are runs of minn to maxn characters of <word>; an end of
   the line is a word. */
#ifndef SKM_FASTTEXT_H
#define SKM_FASTTEXT_H

#include "lines.h"

typedef struct {
    SkmTerms words;   /* of the dictionary, in its order; labels are not among them */
    SkmTerms buckets; /* kept ones, as four bytes each, if a model was pruned */
    int pruned;
    int64_t min_n, max_n, word_ngrams;
    uint32_t n_buckets;
    const uint8_t *prefix; /* of labels */
    size_t n_prefix;
    int32_t *hashes; /* of the words of a line */
    size_t n_hashes, hashes_capacity;
} SkmFastText;

SKM_FUN void skm_fasttext_free(SkmFastText *f)
{
    skm_terms_free(&f->words);
    skm_terms_free(&f->buckets);
    free(f->hashes);
    f->hashes = NULL;
}

SKM_HOT uint32_t skm_fnv(uint32_t h, const uint8_t *p, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++)
        h = (h ^ (uint32_t)(int8_t)p[i]) * 16777619u;
    return h;
}

SKM_HOT int skm_push_column(SkmRows *r, uint64_t column)
{
    if (!skm_room_row(r, r->n_row + 1))
        return 0;
    r->row[r->n_row++] = (column << 32) | 1;
    return 1;
}

SKM_HOT int skm_push_bucket(const SkmFastText *f, SkmRows *r, uint32_t bucket)
{
    uint8_t bytes[4 + SKM_PAD] = {0};
    uint64_t key, column = bucket;
    const SkmSlot *slot;
    if (f->pruned) {
        memcpy(bytes, &bucket, 4);
        key = skm_key(bytes, 4, f->buckets.seed);
        slot = skm_terms_slot(&f->buckets, key, skm_place(&f->buckets, key), bytes, 4);
        if (!slot->id)
            return 1;
        column = slot->id - 1;
    }
    return skm_push_column(r, f->words.n_terms + column);
}

/* Runs of characters of <word>; a single < or > is none. */
SKM_FUN int skm_subwords(const SkmFastText *f, SkmRows *r, const uint8_t *p, size_t n)
{
    size_t i, j, length = n + 2;
    int64_t k;
#define SKM_AT(i) ((i) == 0 ? '<' : (i) == length - 1 ? '>' : p[(i) - 1])
    for (i = 0; i < length; i++) {
        uint32_t h = 2166136261u;
        if ((SKM_AT(i) & 0xc0) == 0x80)
            continue;
        for (j = i, k = 1; j < length && k <= f->max_n; k++) {
            uint8_t byte = SKM_AT(j);
            h = skm_fnv(h, &byte, 1);
            for (j++; j < length && (SKM_AT(j) & 0xc0) == 0x80; j++) {
                byte = SKM_AT(j);
                h = skm_fnv(h, &byte, 1);
            }
            if (k >= f->min_n && !(k == 1 && (i == 0 || j == length))
                && !skm_push_bucket(f, r, h % f->n_buckets))
                return 0;
        }
    }
#undef SKM_AT
    return 1;
}

SKM_FUN int skm_push_word(SkmFastText *f, SkmRows *r, const uint8_t *p, size_t n)
{
    void *hashes = f->hashes;
    uint64_t key = skm_key(p, n, f->words.seed);
    const SkmSlot *slot = skm_terms_slot(&f->words, key, skm_place(&f->words, key), p, n);
    int end = n == 4 && !memcmp(p, "</s>", 4);
    if (!slot->id && n >= f->n_prefix && !memcmp(p, f->prefix, f->n_prefix))
        return 1;
    if (!skm_grow(&hashes, &f->hashes_capacity, f->n_hashes + 1, sizeof(int32_t)))
        return 0;
    f->hashes = hashes;
    f->hashes[f->n_hashes++] = (int32_t)skm_fnv(2166136261u, p, n);
    if (slot->id && !skm_push_column(r, slot->id - 1))
        return 0;
    return end || f->max_n <= 0 || !f->n_buckets || skm_subwords(f, r, p, n);
}

/* A line, behind whose bytes SKM_PAD more may be read, as the next row. Line breaks are blanks. */
SKM_FUN int skm_fasttext_line(SkmFastText *f, SkmRows *r, const uint8_t *p, size_t n)
{
    static const uint8_t end_of_line[4 + SKM_PAD] = "</s>";
    size_t i = 0, j;
    int ended = 0;
    f->n_hashes = 0;
    while (i < n && !ended) {
        size_t start;
        while (i < n && skm_separates(p[i]))
            i++;
        start = i;
        while (i < n && !skm_separates(p[i]))
            i++;
        if (i > start && !skm_push_word(f, r, p + start, i - start))
            return 0;
        ended = i - start == 4 && !memcmp(p + start, end_of_line, 4);
    }
    if (!ended && !skm_push_word(f, r, end_of_line, 4))
        return 0;
    for (i = 0; f->n_buckets && i < f->n_hashes; i++) {
        uint64_t h = (uint64_t)(int64_t)f->hashes[i];
        for (j = i + 1; j < f->n_hashes && j < i + (size_t)f->word_ngrams; j++) {
            h = h * 116049371u + (uint64_t)(int64_t)f->hashes[j];
            if (!skm_push_bucket(f, r, (uint32_t)(h % f->n_buckets)))
                return 0;
        }
    }
    return skm_end_row(r, 1);
}

#endif
