"""Texts to counted n-grams, with scikit-learn's results.

The loops are in ``text.h``. Here: what needs Python objects, a few calls for each text.

Design. A text is a ``str`` whose characters are read in place; nothing of Python's is
touched while it is analysed, so the lock of the interpreter is free during each list of
texts. What Python alone can do is left to it, text by text: lower-casing of U+0130 (two
characters) and of U+03A3 (which depends on what is around it), and the error of a lone
surrogate that would have to be hashed. A list of ``str`` in the place of a text is one
that was analysed already.
"""

import sys

from cpython.buffer cimport PyBUF_FORMAT, PyBuffer_FillInfo
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint32_t, uint64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from skmultireduce._kernels.buffers cimport INT32, Array, take

cdef extern from "text.h" nogil:
    enum:
        SKM_WORD
        SKM_CHAR
        SKM_CHAR_WB
        SKM_FIT
        SKM_LOOKUP
        SKM_HASH
        SKM_IS_WORD
        SKM_NOT_SPACE
        SKM_INT32
        SKM_INT64
        SKM_FLOAT32
        SKM_FLOAT64
        SKM_DONE
        SKM_NEEDS_LOWER
        SKM_SURROGATE
        SKM_NO_MEMORY

    ctypedef struct SkmTerms:
        uint8_t *bytes
        size_t *starts
        size_t n_terms
        uint64_t seed[3]

    ctypedef struct SkmText:
        const void *data
        size_t n
        int kind
        int ascii
        int lower

    ctypedef struct SkmRows:
        int analyzer
        int mode
        int token_class
        size_t min_n
        size_t max_n
        size_t min_chars
        uint32_t n_features
        uint32_t feature_mask
        int alternate_sign
        int32_t largest
        SkmTerms *terms
        SkmTerms *stop_words
        uint64_t seed[3]
        uint8_t *buffer
        size_t n_buffer
        int32_t *indices
        void *values
        int value_type
        size_t n_out
        int64_t *offsets
        size_t n_rows
        uint64_t n_seen

    void skm_text_init()
    int skm_terms_init(SkmTerms *t)
    void skm_terms_free(SkmTerms *t)
    int64_t skm_terms_add(SkmTerms *t, const uint8_t *p, size_t n)
    int skm_terms_merge(SkmTerms *t, const SkmTerms *other, int32_t *numbers)
    int skm_terms_sort(const SkmTerms *t, int32_t *ids, size_t n)
    void skm_rows_free(SkmRows *r)
    int skm_encode(SkmRows *r, const SkmText *d)
    void skm_take(SkmRows *r, const uint8_t *p, size_t n)
    int skm_flush_now(SkmRows *r)
    void skm_forget(SkmRows *r)
    size_t skm_value_size(int value_type)
    int skm_end_row(SkmRows *r, int in_order)
    int skm_rename(SkmRows *r, const int32_t *numbers, SkmTerms *terms)
    int skm_read_text(SkmRows *r, const SkmText *d, int in_order)

cdef extern from "lines.h" nogil:
    enum:
        SKM_ODD_LINE

    ctypedef struct SkmSpan:
        size_t start
        size_t n
        int ascii

    ctypedef struct SkmLines:
        SkmTerms *labels
        int learn
        const uint8_t *prefix
        size_t n_prefix
        size_t n_wanted
        size_t n_read
        size_t n_blank
        uint8_t *bytes
        size_t n_bytes
        SkmSpan *spans
        size_t n_rows
        int32_t *columns
        size_t columns_capacity
        size_t n_columns
        int64_t *offsets
        size_t offsets_capacity

    void skm_lines_free(SkmLines *l)
    int skm_room_line(SkmLines *l, size_t n)
    int skm_add_column(SkmLines *l, size_t first, int32_t column)
    void skm_add_row(SkmLines *l, size_t start, size_t n, int ascii)
    int skm_read_lines(SkmLines *l, const uint8_t *data, size_t n, size_t *position)
    int skm_describe_row(SkmLines *l, size_t row, int lower, SkmText *d)

cdef extern from "fasttext.h" nogil:
    ctypedef struct SkmFastText:
        SkmTerms words
        SkmTerms buckets
        int pruned
        int64_t min_n
        int64_t max_n
        int64_t word_ngrams
        uint32_t n_buckets
        const uint8_t *prefix
        size_t n_prefix

    int skm_fasttext_line(SkmFastText *f, SkmRows *r, const uint8_t *p, size_t n)
    void skm_fasttext_free(SkmFastText *f)

cdef extern from *:
    """
    #define skm_str_data(s) PyUnicode_DATA(s)
    #define skm_str_kind(s) ((int)PyUnicode_KIND(s))
    #define skm_str_ascii(s) (PyUnicode_IS_ASCII(s) ? 1 : 0)
    #define skm_str_length(s) PyUnicode_GET_LENGTH(s)
    /* A number that is another one after each change of the dict: CPython counts them up
       to 3.13. 0: unknown. */
    #if PY_VERSION_HEX < 0x030e0000
    #if defined(__GNUC__) || defined(__clang__)
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
    #define skm_dict_version(d) (((PyDictObject *)(d))->ma_version_tag)
    #else
    #define skm_dict_version(d) 0
    #endif
    """
    const void *skm_str_data(object s)
    int skm_str_kind(object s)
    int skm_str_ascii(object s)
    Py_ssize_t skm_str_length(object s)
    uint64_t skm_dict_version(object d)
    object PyUnicode_New(Py_ssize_t n, uint32_t largest)
    void *PyUnicode_DATA(object s)
    dict __Pyx_PyDict_NewPresized(Py_ssize_t n)

ANALYZERS = {"word": SKM_WORD, "char": SKM_CHAR, "char_wb": SKM_CHAR_WB}
IS_WORD = SKM_IS_WORD
NOT_SPACE = SKM_NOT_SPACE
# By what NumPy calls them.
VALUE_TYPES = {
    "int32": SKM_INT32, "int64": SKM_INT64, "float32": SKM_FLOAT32, "float64": SKM_FLOAT64
}
_BYTE_ORDER = sys.byteorder

skm_text_init()


cdef class Memory:
    """Memory with Python's buffer protocol, freed with the last array on it."""

    cdef void *data
    cdef Py_ssize_t n_bytes

    def __dealloc__(self):
        free(self.data)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.n_bytes, 0, flags & ~PyBUF_FORMAT)


cdef Memory _memory(void *data, Py_ssize_t n_bytes):
    cdef Memory memory = Memory()
    if data == NULL:
        data = malloc(8)
        if data == NULL:
            raise MemoryError
        memset(data, 0, 8)
    memory.data = data
    memory.n_bytes = n_bytes
    return memory


cdef void _describe(SkmText *d, str text, int lower) noexcept:
    d.data = skm_str_data(text)
    d.n = <size_t> skm_str_length(text)
    d.kind = skm_str_kind(text)
    d.ascii = skm_str_ascii(text)
    d.lower = lower


cdef class Terms:
    """A table of terms, numbered as they came.

    ``seed``: 24 random bytes; results do not depend on them.
    """

    cdef SkmTerms table

    def __cinit__(self, bytes seed, *args):
        if len(seed) != 24:
            raise ValueError("seed must have 24 bytes")
        memcpy(self.table.seed, <const char *> seed, 24)
        if not skm_terms_init(&self.table):
            raise MemoryError

    def __init__(self, bytes seed, list terms=None):
        cdef SkmRows rows
        cdef SkmText text
        cdef str term
        cdef int64_t added = 0
        memset(&rows, 0, sizeof(SkmRows))
        try:
            for term in terms or ():
                _describe(&text, term, 0)
                if skm_encode(&rows, &text) != SKM_DONE:
                    raise MemoryError
                added = skm_terms_add(&self.table, rows.buffer, rows.n_buffer)
                if added < 0:
                    raise MemoryError
        finally:
            skm_rows_free(&rows)

    def __dealloc__(self):
        skm_terms_free(&self.table)

    def __len__(self):
        return self.table.n_terms

    def add(self, str term):
        """Add a term; its number, whether it is a new one or not."""
        cdef int64_t number
        encoded = term.encode("utf-8", "surrogatepass")
        # Some bytes behind a term are read.
        padded = encoded + bytes(16)
        number = skm_terms_add(
            &self.table, <const uint8_t *> <const char *> padded, <size_t> len(encoded)
        )
        if number < 0:
            raise MemoryError
        return number

    def merge(self, Terms other):
        """Add the terms of another table; their numbers here, as int32."""
        cdef size_t n_bytes = other.table.n_terms * sizeof(int32_t)
        cdef Memory numbers = _memory(malloc(n_bytes + 8), <Py_ssize_t> n_bytes)
        cdef int done
        with nogil:
            done = skm_terms_merge(&self.table, &other.table, <int32_t *> numbers.data)
        if not done:
            raise MemoryError
        return numbers

    def sort(self, numbers):
        """Bring numbers of terms (int32) into the order of the terms, in place."""
        cdef Array held = take(numbers, b"numbers", INT32, 1, True)
        cdef int done
        with nogil:
            done = skm_terms_sort(&self.table, <int32_t *> held.data, <size_t> held.size)
        if not done:
            raise MemoryError

    cdef str _string(self, int32_t number):
        cdef size_t start = self.table.starts[number], j
        cdef size_t length = self.table.starts[number + 1] - start
        cdef const uint8_t *data = self.table.bytes + start
        cdef uint8_t high = 0
        for j in range(length):
            high |= data[j]
        if high >= 0x80:
            return PyUnicode_DecodeUTF8(
                <const char *> data, <Py_ssize_t> length, "surrogatepass"
            )
        term = PyUnicode_New(<Py_ssize_t> length, 0x7f)
        memcpy(PyUnicode_DATA(term), data, length)
        return term

    def strings(self, numbers):
        """Terms of these numbers (int32)."""
        cdef Array held = take(numbers, b"numbers", INT32, 1, False)
        cdef const int32_t *data = <const int32_t *> held.data
        cdef Py_ssize_t i
        return [self._string(data[i]) for i in range(held.size)]

    def to_dict(self, numbers, columns):
        """Terms of these numbers to their columns (both int32)."""
        cdef Array held = take(numbers, b"numbers", INT32, 1, False)
        cdef Array values = take(columns, b"columns", INT32, 1, False)
        cdef Py_ssize_t i
        cdef const int32_t *data = <const int32_t *> held.data
        cdef const int32_t *found = <const int32_t *> values.data
        cdef dict terms = __Pyx_PyDict_NewPresized(held.size)
        if values.size != held.size:
            raise ValueError("as many columns as numbers")
        for i in range(held.size):
            terms[self._string(data[i])] = found[i]
        return terms


cdef class Lines:
    """Texts and labels of lines in fastText's format, in UTF-8.

    Parameters
    ----------
    labels : Terms
        Names of the labels, in the order of their columns.
    learn : bool
        Whether labels that are not in the table are added.
    prefix : bytes
        What marks a label.
    n_wanted : int
        Largest number of rows.
    """

    cdef SkmLines lines
    cdef readonly Terms labels
    cdef bytes prefix

    def __cinit__(self, Terms labels not None, bint learn, bytes prefix, size_t n_wanted):
        self.labels = labels
        self.prefix = prefix
        self.lines.labels = &labels.table
        self.lines.learn = learn
        self.lines.prefix = <const uint8_t *> <const char *> prefix
        self.lines.n_prefix = <size_t> len(prefix)
        self.lines.n_wanted = n_wanted

    def __dealloc__(self):
        skm_lines_free(&self.lines)

    def __len__(self):
        return self.lines.n_rows

    @property
    def n_read(self):
        """Number of lines, blank ones as well."""
        return self.lines.n_read

    @property
    def n_blank(self):
        return self.lines.n_blank

    def read(self, bytes data, size_t position):
        """Add rows for lines from a position on.

        Returns the position behind the last line that is done, and whether the next one has
        to be added by `add`: with odd marks, a new label, or not in UTF-8.
        """
        cdef size_t n = <size_t> len(data)
        cdef const uint8_t *start = <const uint8_t *> <const char *> data
        cdef int status
        if position > n:
            raise ValueError("the position is behind the data")
        with nogil:
            status = skm_read_lines(&self.lines, start, n, &position)
        if status == SKM_NO_MEMORY:
            raise MemoryError
        return position, status == SKM_ODD_LINE

    def add(self, str text, columns):
        """Add a row of a line that was not taken; of a blank one text is None."""
        cdef SkmLines *held = &self.lines
        cdef bytes encoded
        cdef size_t first = held.n_columns
        cdef int32_t column
        if text is None:
            held.n_read += 1
            held.n_blank += 1
            return
        encoded = text.encode()
        if not skm_room_line(held, <size_t> len(encoded)):
            raise MemoryError
        for column in columns:
            if not skm_add_column(held, first, column):
                raise MemoryError
        memcpy(held.bytes + held.n_bytes, <const char *> encoded, len(encoded))
        skm_add_row(held, held.n_bytes, <size_t> len(encoded), skm_str_ascii(text))
        held.n_read += 1

    cdef str _text(self, size_t row):
        cdef SkmSpan *span = self.lines.spans + row
        cdef const char *data = <const char *> self.lines.bytes + span.start
        if not span.ascii:
            return PyUnicode_DecodeUTF8(data, <Py_ssize_t> span.n, NULL)
        text = PyUnicode_New(<Py_ssize_t> span.n, 0x7f)
        memcpy(PyUnicode_DATA(text), data, span.n)
        return text

    def texts(self):
        """List of the texts, as str."""
        cdef size_t row
        return [self._text(row) for row in range(self.lines.n_rows)]

    def __iter__(self):
        return iter(self.texts())

    def take_labels(self):
        """Columns of the labels (int32) and offsets (int64), which leave this object."""
        cdef SkmLines *held = &self.lines
        if not skm_room_line(held, 0):
            raise MemoryError
        columns = _memory(held.columns, <Py_ssize_t> (held.n_columns * sizeof(int32_t)))
        offsets = _memory(held.offsets, <Py_ssize_t> ((held.n_rows + 1) * sizeof(int64_t)))
        held.columns = NULL
        held.offsets = NULL
        held.columns_capacity = held.n_columns = held.offsets_capacity = 0
        return columns, offsets


cdef class Rows:
    """Rows of a matrix of counts, filled text by text.

    Parameters
    ----------
    settings : tuple
        Analyzer, smallest and largest n, class of a token's characters, smallest number
        of them, table of stop words or None.
    lower : bool
        Whether texts are still to be lower-cased.
    terms : Terms or None
        None: n-grams are hashed.
    learn : bool
        Whether terms that are not in the table are added.
    analyze : callable
        What Python has for a text that is not done here: its list of n-grams.
    in_order : bool
        Whether the columns of a row are in order; else as they came.
    hashing : tuple
        Number of columns, whether signs alternate, largest sum of ones.
    value_type : str
        Type of the counts that `take` gives, of `VALUE_TYPES`.
    """

    cdef SkmRows rows
    cdef readonly Terms terms
    cdef readonly str value_type
    cdef Terms stop_words
    cdef object analyze
    cdef int lower
    cdef int in_order

    def __cinit__(
        self,
        tuple settings,
        bint lower,
        Terms terms,
        bint learn,
        object analyze,
        bint in_order=True,
        tuple hashing=(1, False, INT32_MAX),
        str value_type="int32",
    ):
        cdef SkmRows *r = &self.rows
        r.analyzer, r.min_n, r.max_n, r.token_class, r.min_chars, self.stop_words = settings
        r.n_features, r.alternate_sign, r.largest = hashing
        self.value_type = value_type
        r.value_type = VALUE_TYPES[value_type]
        if r.n_features < 1:
            raise ValueError("a matrix has at least one column")
        if r.n_features & (r.n_features - 1) == 0:
            r.feature_mask = r.n_features - 1
        if self.stop_words is not None:
            r.stop_words = &self.stop_words.table
        self.terms = terms
        self.lower = lower
        self.in_order = in_order
        self.analyze = analyze
        r.mode = SKM_HASH
        if terms is not None:
            r.terms = &terms.table
            memcpy(r.seed, terms.table.seed, 24)
            r.mode = SKM_FIT if learn else SKM_LOOKUP

    def __dealloc__(self):
        skm_rows_free(&self.rows)

    def __len__(self):
        return self.rows.n_rows

    @property
    def n_seen(self):
        """Number of n-grams of hashed rows, repeated ones as well."""
        return self.rows.n_seen

    cdef _read_analyzed(self, list features):
        cdef SkmText text
        cdef object feature
        for feature in features:
            if type(feature) is not str:
                raise TypeError(f"an n-gram must be a str, got {type(feature).__name__}")
            if self.rows.mode == SKM_HASH:
                # A lone surrogate has no UTF-8, and this is how it is said.
                (<str> feature).encode("utf-8")
            _describe(&text, <str> feature, 0)
            if self.rows.mode != SKM_HASH:
                # Slices that wait are in the buffer, which is about to change.
                if not skm_flush_now(&self.rows):
                    raise MemoryError
            if skm_encode(&self.rows, &text) != SKM_DONE:
                raise MemoryError
            skm_take(&self.rows, self.rows.buffer, self.rows.n_buffer)
        if not skm_end_row(&self.rows, self.in_order):
            raise MemoryError

    def read(self, list texts, bytearray prepared):
        """Add a row for each text: a str, or the list of its n-grams.

        ``prepared[i]``: text i is lower-cased already.
        """
        cdef Py_ssize_t i, n = len(texts), start = 0, end
        cdef SkmText *described = <SkmText *> PyMem_Malloc((n + 1) * sizeof(SkmText))
        cdef SkmRows *r = &self.rows
        cdef int status, in_order = self.in_order
        cdef object text
        if described == NULL:
            raise MemoryError
        try:
            while start < n:
                end = start
                while end < n and type(<object> texts[end]) is str:
                    _describe(
                        described + end, <str> texts[end], self.lower and not prepared[end]
                    )
                    end += 1
                i = start
                while i < end:
                    status = SKM_DONE
                    with nogil:
                        while i < end:
                            status = skm_read_text(r, described + i, in_order)
                            if status != SKM_DONE:
                                break
                            i += 1
                    if status == SKM_NO_MEMORY:
                        raise MemoryError
                    if status == SKM_NEEDS_LOWER:
                        text = (<str> texts[i]).lower()
                        _describe(described + i, <str> text, 0)
                        status = skm_read_text(r, described + i, in_order)
                        if status == SKM_NO_MEMORY:
                            raise MemoryError
                        if status == SKM_DONE:
                            i += 1
                    if status == SKM_SURROGATE:
                        self._read_analyzed(self.analyze(texts[i]))
                        i += 1
                start = end
                if start < n:
                    self._read_analyzed(texts[start])
                    start += 1
        finally:
            PyMem_Free(described)

    def read_lines(self, Lines lines not None):
        """Add a row for each text of lines."""
        cdef SkmRows *r = &self.rows
        cdef SkmLines *held = &lines.lines
        cdef SkmText text
        cdef size_t row = 0, n = held.n_rows
        cdef int status, lower = self.lower, in_order = self.in_order
        while row < n:
            status = SKM_DONE
            with nogil:
                while row < n:
                    status = SKM_NO_MEMORY
                    if not skm_describe_row(held, row, lower, &text):
                        break
                    status = skm_read_text(r, &text, in_order)
                    if status != SKM_DONE:
                        break
                    row += 1
            if status == SKM_NO_MEMORY:
                raise MemoryError
            if status == SKM_NEEDS_LOWER:
                self.read([lines._text(row)], bytearray(1))
                row += 1

    def rename(self, numbers, Terms terms not None):
        """Give the columns their numbers (int32) in another table, and rows their order."""
        cdef Array held = take(numbers, b"numbers", INT32, 1, False)
        cdef int done
        if self.rows.value_type != SKM_INT32:
            raise ValueError("rows that get other columns have counts of int32")
        with nogil:
            done = skm_rename(&self.rows, <const int32_t *> held.data, &terms.table)
        if not done:
            raise MemoryError
        self.terms = terms

    def take(self):
        """Columns (int32), counts and offsets of the rows (int64), which leave this object."""
        cdef SkmRows *r = &self.rows
        cdef size_t n_bytes = r.n_out * skm_value_size(r.value_type)
        columns = _memory(r.indices, <Py_ssize_t> (r.n_out * sizeof(int32_t)))
        counts = _memory(r.values, <Py_ssize_t> n_bytes)
        offsets = _memory(r.offsets, <Py_ssize_t> ((r.n_rows + 1) * sizeof(int64_t)))
        skm_forget(r)
        return columns, counts, offsets


def rename(columns, numbers):
    """Give columns other numbers, in place (both int32)."""
    cdef Array held = take(columns, b"columns", INT32, 1, True)
    cdef Array new = take(numbers, b"numbers", INT32, 1, False)
    cdef Py_ssize_t i
    cdef int32_t *data = <int32_t *> held.data
    cdef const int32_t *found = <const int32_t *> new.data
    with nogil:
        for i in range(held.size):
            data[i] = found[data[i]]


def gather(iterator, list texts, Py_ssize_t n_characters, bint only_ascii):
    """Append texts that need nothing to ``texts``, up to a number of characters and 4,096 texts.

    Returns what stopped it and the number of characters that are left: a tuple of one
    object that is not a str or, with ``only_ascii``, not ASCII; an empty tuple if there is
    enough; None at the end.
    """
    cdef object text
    for text in iterator:
        if type(text) is not str or (only_ascii and not skm_str_ascii(text)):
            return (text,), n_characters
        texts.append(text)
        n_characters -= skm_str_length(text)
        if n_characters <= 0 or len(texts) >= 4096:
            return (), n_characters
    return None, n_characters


def columns_to_terms(dict vocabulary):
    """Terms in the order of their columns; None unless they are str of 0, …, n - 1."""
    cdef Py_ssize_t n = len(vocabulary)
    cdef Py_ssize_t column
    cdef list terms = [None] * n
    for term, value in vocabulary.items():
        if type(term) is not str:
            return None
        try:
            column = value
        except (TypeError, OverflowError):
            return None
        if column < 0 or column >= n or terms[column] is not None:
            return None
        terms[column] = term
    return terms


def version(dict vocabulary):
    """A number that differs when the dict was changed."""
    cdef uint64_t number = skm_dict_version(vocabulary)
    if number == 0:
        number = <uint64_t> len(vocabulary)
        for term, value in vocabulary.items():
            number = (number ^ <uint64_t> hash(term)) * <uint64_t> 0x9e3779b97f4a7c15
            number = (number ^ <uint64_t> hash(value)) * <uint64_t> 0x9e3779b97f4a7c15
            number ^= number >> 32
    return number


cdef int _add(SkmTerms *table, SkmRows *room, bytes term) except -1:
    # The table reads a few bytes behind a term.
    cdef SkmText text
    text.data = <const char *> term
    text.n = <size_t> len(term)
    text.kind = 1
    text.ascii = 1
    text.lower = 0
    if skm_encode(room, &text) != SKM_DONE:
        raise MemoryError
    if skm_terms_add(table, room.buffer, room.n_buffer) < 0:
        raise MemoryError
    return 0


cdef class FastText:
    """fastText's features of lines: rows of counts of words and of buckets.

    Parameters
    ----------
    seed : bytes
        24 random bytes; results do not depend on them.
    words : list of bytes
        Of the dictionary, without labels.
    buckets : list of int or None
        Those that are kept, in their order; None: all.
    settings : tuple of int
        minn, maxn, wordNgrams, number of buckets.
    prefix : bytes
        Of labels, which are no features.
    n_columns : int
    """

    cdef SkmFastText features
    cdef bytes prefix
    cdef int32_t n_columns

    def __cinit__(
        self, bytes seed, list words, buckets, tuple settings, bytes prefix, int32_t n_columns
    ):
        cdef SkmFastText *f = &self.features
        cdef SkmRows room
        cdef bytes word
        memset(&room, 0, sizeof(SkmRows))
        if len(seed) != 24:
            raise ValueError("seed must have 24 bytes")
        memcpy(f.words.seed, <const char *> seed, 24)
        memcpy(f.buckets.seed, <const char *> seed, 24)
        f.min_n, f.max_n, f.word_ngrams, f.n_buckets = settings
        self.prefix = prefix
        self.n_columns = n_columns
        f.prefix = <const uint8_t *> <const char *> prefix
        f.n_prefix = <size_t> len(prefix)
        f.pruned = buckets is not None
        if not skm_terms_init(&f.words) or not skm_terms_init(&f.buckets):
            raise MemoryError
        try:
            for word in words:
                _add(&f.words, &room, word)
            for bucket in buckets or ():
                _add(&f.buckets, &room, (<uint32_t> bucket).to_bytes(4, _BYTE_ORDER))
        finally:
            skm_rows_free(&room)
        if <Py_ssize_t> f.words.n_terms != len(words):
            raise ValueError("a word is in the dictionary more than once")

    def __dealloc__(self):
        skm_fasttext_free(&self.features)

    def read(self, list lines):
        """Columns and counts (int32) and offsets (int64) of lines, which are bytes."""
        cdef SkmRows rows
        cdef SkmText text
        cdef bytes line
        cdef int status
        memset(&rows, 0, sizeof(SkmRows))
        rows.mode = SKM_HASH
        rows.n_features = <uint32_t> self.n_columns
        rows.largest = INT32_MAX
        try:
            for line in lines:
                text.data = <const char *> line
                text.n = <size_t> len(line)
                text.kind = text.ascii = 1
                status = skm_encode(&rows, &text)
                if status == SKM_DONE:
                    with nogil:
                        status = skm_fasttext_line(
                            &self.features, &rows, rows.buffer, rows.n_buffer
                        ) - 1
                if status != SKM_DONE:
                    raise MemoryError
            columns = _memory(rows.indices, <Py_ssize_t> (rows.n_out * sizeof(int32_t)))
            counts = _memory(rows.values, <Py_ssize_t> (rows.n_out * sizeof(int32_t)))
            offsets = _memory(rows.offsets, <Py_ssize_t> ((rows.n_rows + 1) * sizeof(int64_t)))
            skm_forget(&rows)
        finally:
            skm_rows_free(&rows)
        return columns, counts, offsets
