/* Lines of fastText's format to texts and columns of labels, without Python objects.

   A line is taken here if it is as nearly all are: labels first, each with a column, then a
   text without marks of labels. Of any other line nothing is kept and the caller is told. */
#ifndef SKM_LINES_H
#define SKM_LINES_H

#include "text.h"

enum { SKM_MORE = 0, SKM_FULL = 1, SKM_ODD_LINE = 2 };

typedef struct {
    size_t start, n; /* of the text in the bytes */
    int ascii;
} SkmSpan;

typedef struct {
    SkmTerms *labels; /* names, in the order of their columns */
    int learn;        /* whether new names are added */
    const uint8_t *prefix;
    size_t n_prefix;
    size_t n_wanted; /* rows */
    size_t n_read;   /* lines, blank ones as well */
    size_t n_blank;
    uint8_t *bytes;
    size_t n_bytes, bytes_capacity;
    SkmSpan *spans;
    size_t spans_capacity, n_rows;
    int32_t *columns;
    size_t columns_capacity, n_columns;
    int64_t *offsets; /* of the columns: n_rows + 1 */
    size_t offsets_capacity;
    uint32_t *wide; /* code points of a text */
    size_t wide_capacity;
} SkmLines;

SKM_FUN void skm_lines_free(SkmLines *l)
{
    free(l->bytes);
    free(l->spans);
    free(l->columns);
    free(l->offsets);
    free(l->wide);
    memset(l, 0, sizeof(SkmLines));
}

/* Blanks of fastText. */
SKM_HOT int skm_separates(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

/* Whether the mark of a label is somewhere. */
SKM_FUN int skm_has_mark(const SkmLines *l, const uint8_t *p, const uint8_t *end)
{
    while ((size_t)(end - p) >= l->n_prefix) {
        p = memchr(p, l->prefix[0], (size_t)(end - p) - l->n_prefix + 1);
        if (!p)
            return 0;
        if (!memcmp(p, l->prefix, l->n_prefix))
            return 1;
        p++;
    }
    return 0;
}

/* Commas, quotes and characters without width, which names of labels seldom have. */
SKM_FUN int skm_has_odd(const uint8_t *p, const uint8_t *end)
{
    for (; p < end; p++) {
        if (*p == ',' || *p == ';' || *p == '|' || *p == '"')
            return 1;
        if (*p == 0xef && end - p > 2 && p[1] == 0xbb && p[2] == 0xbf)
            return 1;
        if (*p == 0xe2 && end - p > 2
            && ((p[1] == 0x80 && p[2] >= 0x8b && p[2] <= 0x8d) || (p[1] == 0x81 && p[2] == 0xa0)))
            return 1;
    }
    return 0;
}

/* The character at p, which moves behind it; -1: this is not UTF-8. */
SKM_HOT int32_t skm_decode(const uint8_t **p, const uint8_t *end)
{
    static const int32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *q = *p;
    int32_t c = *q++;
    int more = c < 0x80 ? 0 : c < 0xc2 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : -1;
    int i;
    if (more < 0 || end - q < more)
        return -1;
    if (more)
        c &= 0x3f >> more;
    for (i = 0; i < more; i++) {
        if ((*q & 0xc0) != 0x80)
            return -1;
        c = (c << 6) | (*q++ & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return -1;
    *p = q;
    return c;
}

SKM_FUN int skm_is_utf8(const uint8_t *p, const uint8_t *end)
{
    while (p < end)
        if (*p < 0x80)
            p++;
        else if (skm_decode(&p, end) < 0)
            return 0;
    return 1;
}

SKM_FUN int skm_is_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t high = 0;
    for (; end - p >= 8; p += 8)
        high |= skm_load64(p);
    for (; p < end; p++)
        high |= (uint64_t)*p << 56;
    return !(high & 0x8080808080808080ULL);
}

/* Add the column of a label to those of the row that begin at ``first``, in their order. */
SKM_FUN int skm_add_column(SkmLines *l, size_t first, int32_t column)
{
    void *columns = l->columns;
    size_t i;
    if (!skm_grow(&columns, &l->columns_capacity, l->n_columns + 1, sizeof(int32_t)))
        return 0;
    l->columns = columns;
    for (i = l->n_columns; i > first && l->columns[i - 1] > column; i--) {}
    if (i > first && l->columns[i - 1] == column)
        return 1;
    memmove(l->columns + i + 1, l->columns + i, (l->n_columns - i) * sizeof(int32_t));
    l->columns[i] = column;
    l->n_columns++;
    return 1;
}

/* Room for a line of n bytes, and for a row. */
SKM_FUN int skm_room_line(SkmLines *l, size_t n)
{
    void *bytes = l->bytes, *spans = l->spans, *offsets = l->offsets;
    if (!skm_grow(&bytes, &l->bytes_capacity, l->n_bytes + n + SKM_PAD, 1))
        return 0;
    l->bytes = bytes;
    if (!skm_grow(&spans, &l->spans_capacity, l->n_rows + 1, sizeof(SkmSpan)))
        return 0;
    l->spans = spans;
    if (!skm_grow(&offsets, &l->offsets_capacity, l->n_rows + 2, sizeof(int64_t)))
        return 0;
    l->offsets = offsets;
    l->offsets[0] = 0;
    return 1;
}

/* A row whose text is ``n`` bytes from ``start`` on, and its columns the last ones. */
SKM_FUN void skm_add_row(SkmLines *l, size_t start, size_t n, int ascii)
{
    SkmSpan *span = l->spans + l->n_rows++;
    span->start = start;
    span->n = n;
    span->ascii = ascii;
    l->offsets[l->n_rows] = (int64_t)l->n_columns;
    l->n_bytes = start + n;
}

/* SKM_MORE: it is done; SKM_ODD_LINE, SKM_NO_MEMORY. */
SKM_FUN int skm_read_line(SkmLines *l, const uint8_t *line, size_t n)
{
    const uint8_t *p, *end;
    size_t n_before = l->n_columns;
    int ascii;
    while (n && skm_separates(line[n - 1]))
        n--;
    while (n && skm_separates(*line)) {
        line++;
        n--;
    }
    if (!n) {
        l->n_blank++;
        return SKM_MORE;
    }
    if (!skm_room_line(l, n))
        return SKM_NO_MEMORY;
    /* Keys of labels are read some bytes further than these go. */
    p = memcpy(l->bytes + l->n_bytes, line, n);
    end = p + n;
    memset((uint8_t *)end, 0, SKM_PAD);
    ascii = skm_is_ascii(p, end);
    if (!ascii && !skm_is_utf8(p, end))
        return SKM_ODD_LINE;
    while ((size_t)(end - p) >= l->n_prefix && !memcmp(p, l->prefix, l->n_prefix)) {
        const uint8_t *name = p + l->n_prefix;
        uint64_t key, place;
        SkmSlot *slot;
        size_t length;
        int marked;
        for (p = name; p < end && !skm_separates(*p); p++) {}
        length = (size_t)(p - name);
        /* The mark once more, behind the first byte of the word. */
        marked = skm_has_mark(l, name - l->n_prefix + 1, p);
        if (!length || marked || skm_has_odd(name, p))
            goto odd;
        key = skm_key(name, length, l->labels->seed);
        place = skm_place(l->labels, key);
        slot = skm_terms_slot(l->labels, key, place, name, length);
        if (!slot->id) {
            if (!l->learn)
                goto odd;
            slot = skm_terms_insert(l->labels, slot, key, place, name, length);
            if (!slot)
                return SKM_NO_MEMORY;
        }
        if (!skm_add_column(l, n_before, (int32_t)(slot->id - 1)))
            return SKM_NO_MEMORY;
        while (p < end && skm_separates(*p))
            p++;
    }
    if (skm_has_mark(l, p, end) || memchr(p, 0, (size_t)(end - p)))
        goto odd;
    skm_add_row(l, (size_t)(p - l->bytes), (size_t)(end - p), ascii || skm_is_ascii(p, end));
    return SKM_MORE;
odd:
    l->n_columns = n_before;
    return SKM_ODD_LINE;
}

/* Whole lines from ``*position`` on, which moves behind the last one that is done. */
SKM_FUN int skm_read_lines(SkmLines *l, const uint8_t *data, size_t n, size_t *position)
{
    while (l->n_rows < l->n_wanted) {
        const uint8_t *start = data + *position;
        const uint8_t *end = memchr(start, '\n', n - *position);
        int status;
        if (!end)
            return SKM_MORE;
        status = skm_read_line(l, start, (size_t)(end - start));
        if (status != SKM_MORE)
            return status;
        l->n_read++;
        *position = (size_t)(end - data) + 1;
    }
    return SKM_FULL;
}

/* A text as `skm_read_text` takes it; 0: no memory. */
SKM_FUN int skm_describe_row(SkmLines *l, size_t row, int lower, SkmText *d)
{
    const SkmSpan *span = l->spans + row;
    const uint8_t *p = l->bytes + span->start, *end = p + span->n;
    void *wide = l->wide;
    d->data = p;
    d->n = span->n;
    d->kind = 1;
    d->ascii = span->ascii;
    d->lower = lower;
    if (span->ascii)
        return 1;
    if (!skm_grow(&wide, &l->wide_capacity, span->n, sizeof(uint32_t)))
        return 0;
    l->wide = wide;
    for (d->n = 0; p < end;)
        l->wide[d->n++] = (uint32_t)skm_decode(&p, end);
    d->data = l->wide;
    d->kind = 4;
    return 1;
}

#endif
