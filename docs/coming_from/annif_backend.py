"""Backend of Annif: any number of subjects a document, learned and cut off by skmultireduce.

``python annif_backend.py train MY-PROJECT documents.tsv`` is ``annif train`` with this backend,
and so are all other commands.
"""

import os.path

import annif.backend
import annif.util
import joblib
import numpy as np
import scipy.sparse as sp
from annif.backend.backend import AnnifLearningBackend
from annif.backend.mixins import TfidfVectorizerMixin
from annif.exception import NotInitializedException, NotSupportedException
from annif.suggestion import SuggestionBatch, vector_to_suggestions
from scipy.special import expit

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel


class SkmultireduceBackend(TfidfVectorizerMixin, AnnifLearningBackend):
    """Scores of one half and more are those that the tuned cutoff takes."""

    name = "skmultireduce"
    MODEL_FILE = "skmultireduce-model"
    DEFAULT_PARAMETERS = {
        "min_df": 1,
        "ngram": 1,
        "loss": "squared_hinge",
        "alpha_scale": 1.0,
        "scoring": "f1_samples",
        "random_state": 0,
    }
    _model = None

    def initialize(self, parallel=False):
        """Load what `train` has saved."""
        self.initialize_vectorizer()
        path = os.path.join(self.datadir, self.MODEL_FILE)
        if self._model is None and not os.path.exists(path):
            raise NotInitializedException(f"model {path} not found", backend_id=self.backend_id)
        self._model = self._model or joblib.load(path)

    def _subjects(self, documents):
        """Indicator of the documents' subjects."""
        sets = [list(document.subject_set) for document in documents]
        rows = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
        columns = np.array([subject for one in sets for subject in one], dtype=int)
        shape = len(sets), len(self.project.subjects)
        return sp.csr_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape)

    def _save(self):
        annif.util.atomic_save(self._model, self.datadir, self.MODEL_FILE, method=joblib.dump)

    def _train(self, corpus, params, jobs=0):
        if corpus == "cached" or corpus.is_empty():
            raise NotSupportedException("training needs documents")
        documents = list(corpus.documents)
        options = {
            "min_df": int(params["min_df"]),
            "ngram_range": (1, int(params["ngram"])),
            "tokenizer": self.project.analyzer.tokenize_words,
        }
        X = self.create_vectorizer((document.text for document in documents), options)
        estimator = MultiLabelSGDClassifier(
            reduction="one_vs_rest",
            loss=params["loss"],
            alpha_scale=float(params["alpha_scale"]),
            random_state=int(params["random_state"]),
        )
        self._model = ThresholdedMultiLabel(
            estimator,
            scoring=params["scoring"],
            n_jobs=jobs or -1,
            random_state=int(params["random_state"]),
        ).fit(X, self._subjects(documents))
        self._save()

    def _learn(self, corpus, params):
        self.initialize()
        documents = list(corpus.documents)
        X = self.vectorizer.transform([document.text for document in documents])
        self._model.estimator_.partial_fit(X, self._subjects(documents))
        self._save()

    def _suggest_batch(self, documents, params):
        X = self.vectorizer.transform([document.text for document in documents])
        scores = expit(self._model.decision_function(X))
        limit = int(params["limit"])
        found = [
            vector_to_suggestions(row, limit) if n else ()
            for row, n in zip(scores, np.diff(X.indptr), strict=True)
        ]
        return SuggestionBatch.from_sequence(found, self.project.subjects)


annif.backend._backend_fns[SkmultireduceBackend.name] = lambda: SkmultireduceBackend

if __name__ == "__main__":
    from annif.cli import cli

    cli()
