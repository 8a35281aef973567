"""Models of fastText: tiny files that fastText 0.9.3 made, with its own predictions."""

import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmultireduce import (
    MultiLabelMLPClassifier,
    ThresholdedMultiLabel,
    load_model,
    save_model,
)
from skmultireduce.onnx import to_onnx
from skmultireduce.text import FastTextVectorizer, load_fasttext

FILES = Path(__file__).parent / "fasttext"
EXPECTED = json.loads((FILES / "expected.json").read_text(encoding="utf8"))
TEXTS = EXPECTED["texts"]
MODELS = EXPECTED["models"]


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_of_fasttext(name):
    model = load_fasttext(FILES / name)
    found = model.predict_proba(TEXTS)
    columns = {label: i for i, label in enumerate(model[0].target_names_)}
    # ova and ns look sigmoids up in a table of 512 values.
    tolerance = 5e-6 if name.startswith(("softmax", "subwords")) else 0.008
    for row, predictions in zip(found, MODELS[name]["predictions"], strict=True):
        for value, label in predictions:
            column = columns[label.removeprefix("__label__")]
            assert abs(row[column] - (value - 1e-5)) < tolerance


@pytest.mark.parametrize("name", MODELS)
def test_one_vs_rest_is_the_sigmoid_of_the_scores(name):
    model = load_fasttext(FILES / name)
    classifier, X = model[1], model[0].transform(TEXTS)
    means = (X @ classifier.embedding_) / np.maximum(X.sum(axis=1), 1)
    scores = np.asarray(means @ classifier.coefs_[-1])
    if name.startswith(("ova", "ns")):
        expected = 1 / (1 + np.exp(-scores))
    else:
        scores = scores - scores.max(axis=1, keepdims=True)
        expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_subwords_are_those_of_fasttext(name):
    vectorizer = load_fasttext(FILES / name)[0]
    vectorizer.word_ngrams = 1
    end = vectorizer.transform([""]).toarray()
    for word, columns in MODELS[name]["subwords"].items():
        found = (vectorizer.transform([word]).toarray() - end)[0]
        expected = np.bincount(np.array(columns, dtype=int), minlength=len(found))
        np.testing.assert_array_equal(found, expected, word)


def test_models_are_tuned_trained_on_and_pickled():
    model = load_fasttext(FILES / "subwords.bin")
    texts = TEXTS * 6
    y = np.tile(np.eye(4, dtype=np.int8)[[0, 1, 2, 3, 1, 0, 2]], (6, 1))
    tuned = ThresholdedMultiLabel(model, cv="prefit").fit(texts, y)
    assert tuned.predict(texts).shape == y.shape
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    before = model.predict_proba(TEXTS)
    X = model[0].transform(texts)
    for _ in range(5):
        model[1].partial_fit(X, y)
    assert not np.allclose(model.predict_proba(TEXTS), before)


def test_hierarchical_softmax_is_refused():
    with pytest.raises(ValueError, match="hierarchical softmax"):
        load_fasttext(FILES / "hs.bin")


def mutated(data, number):
    """Cut short or, of even number, with four other bytes, mostly in the head."""
    rng = np.random.default_rng(number)
    if number % 2:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    start = int(rng.integers(min(len(changed), 4 * number + 80)))
    # Numbers that ask for much, and any bytes.
    wild = rng.choice([2**31 - 1, 2**24, -1, 0, -(2**31)], p=[0.3, 0.2, 0.2, 0.1, 0.2])
    number_or_bytes = int(wild).to_bytes(4, "little", signed=True)
    changed[start : start + 4] = number_or_bytes if number % 4 else rng.bytes(4)
    return bytes(changed)


LIMITED = """
import re, sys, time, warnings
import pathlib, resource
import numpy as np
from skmultireduce.text import load_fasttext
warnings.simplefilter("error")
load_fasttext(sys.argv[1] + "/intact")
size = int(re.search(r"VmSize:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
limit = 1024 * size + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.model")):
    begin = time.process_time()
    try:
        load_fasttext(path)
        outcome = "loaded"
    except ValueError as error:
        outcome = "refused" if str(path) in str(error) else f"unclear: {error}"
    print(path.stem, time.process_time() - begin, outcome)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_mutated_files_give_clear_errors_within_a_second_and_100_megabytes(tmp_path):
    names = ["subwords.bin", "subwords.ftz", "ova.bin", "ova.ftz"]
    for number in range(200):
        data = (FILES / names[number // 50]).read_bytes()
        (tmp_path / f"{number}.model").write_bytes(mutated(data, number))
    (tmp_path / "intact").write_bytes((FILES / "subwords.ftz").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(lines) == 200
    assert max(float(seconds) for _, seconds, _ in lines) < 1
    outcomes = {int(number): outcome for number, _, outcome in lines}
    assert set(outcomes.values()) == {"refused", "loaded"}
    # What was cut off is always missed; weights may be any numbers.
    assert all(outcomes[number] == "refused" for number in range(1, 200, 2))
    assert sum(outcome == "refused" for outcome in outcomes.values()) > 115


@pytest.mark.parametrize("n_buckets", [2**31 - 1, 10**6])
def test_a_number_of_buckets_that_the_file_does_not_have(n_buckets, tmp_path):
    path = tmp_path / "large.bin"

    def write(name):
        data = (FILES / name).read_bytes()
        path.write_bytes(data[:40] + struct.pack("<i", n_buckets) + data[44:])

    write("subwords.bin")
    with pytest.raises(ValueError, match=r"large\.bin .* rows of the input"):
        load_fasttext(path)
    # Without subwords and word n-grams it has no meaning.
    write("softmax.bin")
    expected = load_fasttext(FILES / "softmax.bin").predict_proba(TEXTS)
    np.testing.assert_array_equal(load_fasttext(path).predict_proba(TEXTS), expected)


def test_a_small_file_does_not_decode_to_a_large_matrix(tmp_path):
    """One part of 2,000 numbers: each of 100,000 codes stands for as many."""
    dim, n_rows = 2000, 100_000
    words = b"".join(b"%d\0" % i + struct.pack("<qb", 1, 0) for i in range(n_rows))
    data = struct.pack("<2i12id", 793712314, 12, dim, 5, 1, 1, 5, 1, 3, 3, 0, 0, 0, 100, 1e-4)
    data += struct.pack("<3i2q", n_rows + 1, n_rows, 1, n_rows, -1) + words
    data += b"__label__a\0" + struct.pack("<qb", 1, 1)
    data += struct.pack("<??2qi", True, False, n_rows, dim, n_rows) + bytes(n_rows)
    data += struct.pack("<4i", dim, 1, dim, dim) + bytes(4 * 256 * dim)
    path = tmp_path / "large.ftz"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ValueError, match="decoded"):
        load_fasttext(path)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_export_to_onnx_is_refused():
    model = load_fasttext(FILES / "softmax.bin")
    tuned = ThresholdedMultiLabel(model, cv="prefit")
    tuned.fit(TEXTS[:4], np.eye(4, dtype=np.int8))
    for exported in (model, model[1], tuned, make_pipeline(tuned)):
        with pytest.raises(ValueError, match="load_fasttext, cannot be exported"):
            to_onnx(exported)


def test_a_dictionary_is_learned():
    texts = ["bake\tbread\0bread", "bread __label__x </s> é", "", "é bake\nbake"]
    vectorizer = FastTextVectorizer(min_count=2).fit(texts)
    assert vectorizer.words_ == [b"</s>", b"bake", b"bread", "é".encode()]
    X = vectorizer.transform(texts)
    assert X.toarray().tolist() == [[1, 1, 2, 0], [1, 0, 1, 0], [1, 0, 0, 0], [1, 2, 0, 1]]
    both = FastTextVectorizer(minn=2, maxn=3, word_ngrams=2, bucket=50).fit(texts)
    X = both.transform(texts)
    assert X.shape == (4, len(both.words_) + 50)
    assert X.toarray().sum(axis=1)[2] == 1
    # The word, three subwords, the end of the line, and the pair of both.
    assert both.transform(["é"]).sum() == 1 + 3 + 1 + 1
    again = pickle.loads(pickle.dumps(both))
    assert (again.transform(texts) != X).nnz == 0


def test_a_dictionary_is_that_of_a_model_with_the_same_words():
    loaded = load_fasttext(FILES / "subwords.bin")[0]
    words = [word.decode() for word in loaded.words_ if word != b"</s>"]
    fitted = clone(loaded).fit([" ".join(words)])
    assert set(fitted.words_) == set(loaded.words_)
    assert (fitted.minn, fitted.maxn, fitted.n_buckets_) == (
        loaded.minn,
        loaded.maxn,
        loaded.n_buckets_,
    )
    order = [fitted.words_.index(word) for word in loaded.words_]
    order += range(len(order), len(order) + loaded.n_buckets_)
    found, expected = fitted.transform(TEXTS)[:, order], loaded.transform(TEXTS)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_features_and_classifier_are_fasttexts_model(tmp_path):
    texts, y = TEXTS * 6, np.tile(np.eye(4, dtype=np.int8)[[0, 1, 2, 3, 1, 0, 2]], (6, 1))
    model = make_pipeline(
        FastTextVectorizer(minn=2, maxn=4, word_ngrams=2, bucket=500),
        MultiLabelMLPClassifier(embedding_dim=10, random_state=0),
    )
    assert (model.fit(texts, y).predict(texts) == y).mean() > 0.95
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))


def test_other_parameters_are_seen_after_a_use():
    vectorizer = FastTextVectorizer(word_ngrams=2, bucket=50).fit(TEXTS)
    before = vectorizer.transform(TEXTS)
    vectorizer.set_params(word_ngrams=1)
    assert vectorizer.transform(TEXTS).sum() < before.sum()
    assert (vectorizer.set_params(word_ngrams=2).transform(TEXTS) != before).nnz == 0


@pytest.mark.parametrize("parameters", [{"minn": -1}, {"word_ngrams": 0}, {"bucket": 2**31}])
def test_parameters_of_features(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        FastTextVectorizer(**parameters).fit(TEXTS)


def test_features_need_texts_and_a_fit():
    with pytest.raises(ValueError, match="at least one text"):
        FastTextVectorizer().fit([])
    with pytest.raises(NotFittedError):
        FastTextVectorizer().transform(TEXTS)


def test_texts_are_lines():
    vectorizer = load_fasttext(FILES / "softmax.bin")[0]
    one, two = vectorizer.transform(["bake\nbread", "bake bread"]).toarray()
    np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="one text"):
        vectorizer.transform("bake bread")
    with pytest.raises(ValueError, match="should hold str"):
        vectorizer.transform([None])


def test_rows_at_the_ends_of_blocks_have_the_scores_that_they_have_alone(monkeypatch):
    monkeypatch.setattr("skmultireduce._training.predictions._BLOCK_MIB", 5e-5)
    model = load_fasttext(FILES / "subwords.bin")
    texts = TEXTS * 3
    alone = np.concatenate([model.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(model.predict_proba(texts), alone, rtol=1e-6)
