"""Models of fastText: tiny files that fastText 0.9.3 made, with its own predictions."""

import json
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from skmultireduce import ThresholdedMultiLabel
from skmultireduce.text import load_fasttext

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


@pytest.mark.parametrize("name", ["subwords.bin", "subwords.ftz"])
def test_mutated_files_give_clear_errors(name, tmp_path):
    data = (FILES / name).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "mutated.bin"
    refused = 0
    begin = time.perf_counter()
    for number in range(100):
        changed = bytearray(data)
        if number % 2:
            changed = changed[: rng.integers(len(changed))]
        else:
            start = int(rng.integers(min(len(changed), 4 * number + 80)))
            changed[start : start + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        path.write_bytes(changed)
        try:
            load_fasttext(path)
        except ValueError as error:
            refused += str(path) in str(error)
        else:
            # Weights may be any numbers; what was cut off is always missed.
            assert not number % 2
    assert refused >= 50
    assert time.perf_counter() - begin < 100


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
