"""The backend of Annif on its page: with Annif itself, or with as much of it as it touches."""

import importlib.util
import os
import sys
import types
from collections import namedtuple
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

SOURCE = Path(__file__).parents[1] / "docs" / "coming_from" / "annif_backend.py"
pytestmark = pytest.mark.skipif(not SOURCE.exists(), reason="needs the source tree")

Document = namedtuple("Document", "text subject_set")
Suggestion = namedtuple("Suggestion", "subject_id score")


class RefusedError(Exception):
    def __init__(self, message, backend_id=None):
        super().__init__(message)


class LearningBackend:
    DEFAULT_PARAMETERS = {}

    def __init__(self, backend_id, config_params, project):
        self.backend_id, self.config_params, self.project = backend_id, config_params, project
        self.datadir = project.datadir

    @property
    def params(self):
        return {"limit": 100, **self.DEFAULT_PARAMETERS, **self.config_params}

    def train(self, corpus, params=None, jobs=0):
        self._train(corpus, {**self.params, **(params or {})}, jobs)

    def learn(self, corpus, params=None):
        self._learn(corpus, {**self.params, **(params or {})})

    def suggest(self, documents, params=None):
        self.initialize()
        return self._suggest_batch(documents, {**self.params, **(params or {})})


class VectorizerMixin:
    vectorizer = None

    def initialize_vectorizer(self):
        if self.vectorizer is None:
            self.vectorizer = joblib.load(os.path.join(self.datadir, "vectorizer"))

    def create_vectorizer(self, texts, params):
        self.vectorizer = TfidfVectorizer(token_pattern=None, **params)
        X = self.vectorizer.fit_transform(texts)
        joblib.dump(self.vectorizer, os.path.join(self.datadir, "vectorizer"))
        return X


class Batch:
    def __init__(self, rows):
        self.rows = rows

    @classmethod
    def from_sequence(cls, rows, subject_index, limit=None):
        return cls([[one for one in row if one.score > 0] for row in rows])


def vector_to_suggestions(vector, limit):
    best = np.argsort(-vector)[:limit]
    return [Suggestion(int(label), float(vector[label])) for label in best]


def stand_in():
    """Modules of Annif with the names that the backend imports."""

    def module(name, **names):
        made = types.ModuleType(name)
        vars(made).update(names)
        return made

    def save(value, folder, name, method):
        method(value, os.path.join(folder, name))

    backend = module("annif.backend", _backend_fns={})
    util = module("annif.util", atomic_save=save)
    return {
        "annif": module("annif", backend=backend, util=util),
        "annif.util": util,
        "annif.backend": backend,
        "annif.backend.backend": module("b", AnnifLearningBackend=LearningBackend),
        "annif.backend.mixins": module("m", TfidfVectorizerMixin=VectorizerMixin),
        "annif.exception": module(
            "e", NotInitializedException=RefusedError, NotSupportedException=RefusedError
        ),
        "annif.suggestion": module(
            "s", SuggestionBatch=Batch, vector_to_suggestions=vector_to_suggestions
        ),
    }


class Corpus:
    def __init__(self, documents):
        self.documents = documents

    def is_empty(self):
        return not self.documents


class Analyzer:
    def tokenize_words(self, text):
        return text.split()


@pytest.fixture
def backend(monkeypatch, tmp_path):
    for name, module in stand_in().items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("annif_backend", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    registered = sys.modules["annif.backend"]._backend_fns["skmultireduce"]()
    project = types.SimpleNamespace(
        datadir=str(tmp_path), subjects=list("abcde"), analyzer=Analyzer()
    )
    return lambda **params: registered("mine", params, project)


def corpus(n=120, seed=0):
    """Each subject has a word of its own, which one document of ten lacks."""
    rng = np.random.default_rng(seed)
    documents = []
    for _ in range(n):
        subjects = sorted(rng.choice(4, size=rng.integers(1, 3), replace=False).tolist())
        words = [f"word{k}" for k in subjects if rng.random() < 0.9] + ["common"] * 2
        documents.append(Document(" ".join(words), subjects))
    return Corpus(documents)


def test_trains_suggests_and_cuts(backend):
    documents = corpus()
    backend(random_state="1").train(documents, jobs=1)
    # Another process would load what was saved.
    found = backend().suggest([Document("word1 common", ()), Document("unknown", ())])
    best = max(found.rows[0], key=lambda one: one.score)
    assert best.subject_id == 1
    assert [one.subject_id for one in found.rows[0] if one.score >= 0.5] == [1]
    assert all(0 < one.score < 1 for one in found.rows[0])
    # A subject without documents is not suggested.
    assert {one.subject_id for one in found.rows[0]} == {0, 1, 2, 3}
    # Without a known word there is nothing to say.
    assert found.rows[1] == []
    few = backend().suggest([Document("word1 word2", ())], {"limit": "2"})
    assert {one.subject_id for one in few.rows[0]} == {1, 2}


def test_scores_of_a_half_are_what_the_cutoff_takes(backend):
    documents = corpus().documents
    mine = backend(scoring="f1_micro")
    mine.train(Corpus(documents), jobs=1)
    found = mine.suggest(documents)
    taken = np.zeros((len(documents), 5), dtype=int)
    for row, suggestions in enumerate(found.rows):
        for one in suggestions:
            taken[row, one.subject_id] = one.score > 0.5
    X = mine.vectorizer.transform([document.text for document in documents])
    predicted = mine._model.predict(X)
    assert sp.issparse(predicted)
    np.testing.assert_array_equal(taken[np.diff(X.indptr) > 0], predicted.toarray())
    assert mine._model.scoring == "f1_micro"


def test_learns_more(backend):
    mine = backend()
    mine.train(corpus(), jobs=1)
    new = Corpus([Document("word0 common", [3])] * 40)
    before = mine.suggest([Document("word0", ())])
    for _ in range(10):
        mine.learn(new)
    after = backend().suggest([Document("word0", ())])

    def score(found):
        return next(one.score for one in found.rows[0] if one.subject_id == 3)

    assert score(after) > score(before)


def test_refuses_what_it_cannot_do(backend):
    for wrong in ("cached", Corpus([])):
        with pytest.raises(RefusedError, match="needs documents"):
            backend().train(wrong)
    mine = backend()
    mine.train(corpus(), jobs=1)
    os.remove(os.path.join(mine.datadir, mine.MODEL_FILE))
    with pytest.raises(RefusedError, match="not found"):
        backend().suggest([Document("word1", ())])


def test_has_less_than_a_hundred_lines():
    lines = [line for line in SOURCE.read_text().splitlines() if line.strip()]
    assert len(lines) < 100


def test_what_annif_has_is_what_the_stand_in_has():
    pytest.importorskip("annif")
    for name, module in stand_in().items():
        real = importlib.import_module(name)
        for attribute in vars(module):
            if not attribute.startswith("__"):
                assert hasattr(real, attribute), f"{name}.{attribute}"
