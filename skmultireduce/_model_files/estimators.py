"""Estimators that model files hold: ours, and what of scikit-learn stands before them.

What is kept of one are its parameters, by their names, and what predictions need of its fitted
state. Of scikit-learn's classes these are public attributes: the file does not depend on how a
release keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import text as sklearn_text
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler

from .. import text as own_text
from .._cutoff.rule import CutRule
from .._data.label_sets import Target
from .._models.label_forest import LabelForest
from .._reductions.class_table import ClassTable
from .._sklearn import BaseSearchCV, with_idf
from .._state import STATE_VERSION
from .._training.training import Training
from .._version import __version__
from ..label_lists import LabelListClassifier
from ..linear import MultiLabelSGDClassifier
from ..neural import MultiLabelMLPClassifier
from ..reduction import MultiClassReduction
from ..threshold import FixedThresholdMultiLabel, ThresholdedMultiLabel
from ..tree import LabelTreeClassifier
from .checks import (
    Check,
    any_of,
    anything,
    array,
    boolean,
    check_fields,
    instance,
    integer,
    list_of,
    number,
    optional,
)
from .container import DamagedFileError
from .records import RECORDS
from .values import NotSavedError, RecordForm, Writer

__all__ = ["FORMS", "form_of", "remedy"]

# Public attributes of a fit, of which new ones may come.
_FITTED_NAME = re.compile(r"[a-z][a-z0-9_]*_")
# Reports on a fit, and parameters that training alone reads: left out, with a warning, where a
# file cannot hold them.
_REPORTS = frozenset({"cv_results_", "search_results_", "best_params_"})
_TRAINING_ONLY = frozenset(
    {
        "cv",
        "scoring",
        "param_grid",
        "random_state",
        "class_weight",
        "embedding_init",
        "parents",
        "memory",
    }
)
_OUTPUT = "_sklearn_output_config"


def form_of(value: Any) -> tuple[str, RecordForm] | None:
    """Name and form of the class of an object; None if there is none."""
    name = _NAMES.get(type(value))
    return None if name is None else (name, FORMS[name])


def _writable(value: Any) -> bool:
    try:
        Writer(form_of).write(value)
    except NotSavedError:
        return False
    return True


@dataclass(frozen=True)
class _Estimator:
    """How an estimator is kept.

    Parameters
    ----------
    cls : type
    fitted : callable
        From an estimator to a dict of what was fitted; empty if it is not.
    restore : callable
        Gives an estimator, which has its parameters, what was fitted.
    """

    cls: type
    fitted: Callable[[Any], dict[str, Any]]
    restore: Callable[[Any, dict[str, Any]], None]

    def take(self, estimator: Any) -> dict[str, Any]:
        params = dict(estimator.get_params(deep=False))
        fitted = self.fitted(estimator)
        left_out = {}
        for held, names in ((params, _TRAINING_ONLY), (fitted, _REPORTS)):
            for name in sorted(names & set(held)):
                if (name == "memory" and held[name] is not None) or not _writable(held[name]):
                    left_out[name] = f"{held.pop(name)!r:.200}"
        defaults = _defaults(self.cls)
        changed = [name for name, value in params.items() if not _same(value, defaults.get(name))]
        return {
            "params": params,
            "changed": sorted(changed),
            "fitted": fitted,
            "left_out": left_out,
        }

    def make(self, values: dict[str, Any]) -> Any:
        of_names = instance(dict)
        check_fields(
            values,
            {
                "params": of_names,
                "changed": instance(list),
                "fitted": of_names,
                "left_out": of_names,
            },
        )
        known = _defaults(self.cls)
        params = {}
        for name, value in values["params"].items():
            if name in known:
                params[name] = value
            elif name in values["changed"]:
                raise DamagedFileError(
                    f"its parameter {name}={value!r:.60} is one that the installed release does "
                    "not have"
                )
        estimator = self.cls(**params)
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        if values["fitted"]:
            self.restore(estimator, values["fitted"])
        return estimator

    @property
    def form(self) -> RecordForm:
        return RecordForm(self.cls, self.take, self.make)


def _defaults(cls: type) -> dict[str, Any]:
    return {name: value.default for name, value in signature(cls).parameters.items()}


def _same(value: Any, default: Any) -> bool:
    if value is default or default is Parameter.empty:
        return value is default
    plain = (bool, int, float, str, tuple)
    same = value == default or (value != value and default != default)
    return type(value) is type(default) and isinstance(value, plain) and same


# ------------------------------------------------------------------------------------- ours
def _is_output(value: Any) -> bool:
    """Whether it is what `set_output` keeps."""
    return type(value) is dict and all(isinstance(x, str) for x in (*value, *value.values()))


_FITTED_CHECKS: dict[str, Check] = {
    _OUTPUT: _is_output,
    "n_features_in_": integer(1),
    "feature_names_in_": array(),
    "n_labels_": integer(1),
}


def _own(cls: type, private: dict[str, Check], also: Callable[[Any], None]) -> _Estimator:
    """An estimator of this package: what its pickles hold, each private part with its check."""

    def fitted(estimator: Any) -> dict[str, Any]:
        params = estimator.get_params(deep=False)
        out = {}
        for name, value in vars(estimator).items():
            # Of fits: requests of metadata, and callbacks.
            if name in params or name == "_metadata_request" or "callback" in name:
                continue
            if name not in {*private, _OUTPUT} and not _FITTED_NAME.fullmatch(name):
                raise NotSavedError(f"the attribute {name} of {cls.__name__}")
            out[name] = value
        return out

    def restore(estimator: Any, found: dict[str, Any]) -> None:
        for name, value in found.items():
            public = _FITTED_NAME.fullmatch(name) and not hasattr(cls, name)
            check = private.get(name) or _FITTED_CHECKS.get(name)
            if check is None and not public:
                raise DamagedFileError(f"{name:.60} is no attribute of {cls.__name__}")
            if check is not None and not check(value):
                raise DamagedFileError(f"{name} is not as it should be")
        form = {"_skmultireduce_version": __version__, "_skmultireduce_state": STATE_VERSION}
        estimator.__setstate__({**vars(estimator), **found, **form})
        also(estimator)

    return _Estimator(cls, fitted, restore)


def _check_sgd(estimator: Any) -> None:
    training = estimator._training
    if training is None or not training.has_learned:
        return
    scaling = training.scaling
    shapes = set() if scaling is None else {scaling.center.shape, scaling.scale.shape}
    if shapes - {(estimator.n_features_in_,)}:
        raise DamagedFileError("the scale of its features is of others")


def _check_tree(estimator: Any) -> None:
    forest = vars(estimator).get("_forest")
    if forest is None:
        return
    tree, target = forest.trees[0], estimator._target
    if (tree.n_features, forest.n_labels) != (estimator.n_features_in_, target.n_labels):
        raise DamagedFileError("its trees are of other features or labels")


def _check_cutoff(estimator: Any) -> None:
    rule = vars(estimator).get("_rule")
    if rule is not None and rule.source.n_labels != estimator._target.n_labels:
        raise DamagedFileError("its cutoff is of other labels")


def _check_reduction(estimator: Any) -> None:
    table = vars(estimator).get("_table")
    if table is not None and table.n_labels != estimator._target.n_labels:
        raise DamagedFileError("its classes are of other labels")


_target = {"_target": optional(instance(Target))}
_OWN = [
    _own(cls, {"_training": optional(instance(Training)), **_target}, _check_sgd)
    for cls in (MultiLabelSGDClassifier, MultiLabelMLPClassifier)
]
_OWN += [
    _own(cls, {"_rule": optional(instance(CutRule)), **_target}, _check_cutoff)
    for cls in (ThresholdedMultiLabel, FixedThresholdMultiLabel)
]
_OWN += [
    _own(LabelListClassifier, _target, lambda estimator: None),
    _own(
        LabelTreeClassifier,
        {
            "_forest": instance(LabelForest),
            "_seed": integer(),
            "_square": number,
            **_target,
        },
        _check_tree,
    ),
    _own(
        MultiClassReduction,
        {
            "_table": optional(instance(ClassTable)),
            "_rng": instance(np.random.RandomState),
            "_seed": integer(),
            "_n_calls": integer(),
            "_warned": instance(set),
            "_label_counts": array(np.float64),
            "_models": instance(list),
            "_scale": number,
            "_seen_sizes": anything,
            **_target,
        },
        _check_reduction,
    ),
]


# ----------------------------------------------------------------------------- vectorizers
def _check_readable(vectorizer: Any) -> None:
    """Refuse what runs code of the user, or opens files that texts name."""
    for name in ("preprocessor", "tokenizer", "analyzer"):
        if callable(getattr(vectorizer, name, None)):
            raise NotSavedError(f"{name}={getattr(vectorizer, name)!r:.60}, which is code")
    if vectorizer.input != "content":
        raise NotSavedError(f"input={vectorizer.input!r}, by which texts are names of files")


class _Vectorizer(_Estimator):
    """A vectorizer that runs no code and opens no files."""

    def make(self, values: dict[str, Any]) -> Any:
        out = super().make(values)
        _check_readable(out)
        return out


def _vectorizer(cls: type) -> _Estimator:
    def fitted(vectorizer: Any) -> dict[str, Any]:
        _check_readable(vectorizer)
        found = vars(vectorizer)
        if not hasattr(vectorizer, "vocabulary_"):
            return {}
        terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
        weighs = "_tfidf" in found and vectorizer.use_idf
        return {
            "terms": [str(term) for term in terms],
            "fixed": bool(found.get("fixed_vocabulary_", False)),
            "idf": vectorizer.idf_ if weighs else None,
        }

    def restore(vectorizer: Any, found: dict[str, Any]) -> None:
        floats = array(np.float32, np.float64)
        checks = {"terms": instance(list), "fixed": boolean, "idf": optional(floats)}
        check_fields(found, checks)
        terms, idf = found["terms"], found["idf"]
        vocabulary = {term: column for column, term in enumerate(terms)}
        if len(vocabulary) != len(terms) or set(map(type, terms)) - {str}:
            raise DamagedFileError("its terms are not texts, or one comes twice")
        vectorizer.vocabulary_, vectorizer.fixed_vocabulary_ = vocabulary, found["fixed"]
        if isinstance(vectorizer, sklearn_text.TfidfVectorizer):
            if (idf is not None) != vectorizer.use_idf or (
                idf is not None and idf.shape != (len(terms),)
            ):
                raise DamagedFileError("there is not one weight for each term")
            with_idf(vectorizer, idf)

    return _Vectorizer(cls, fitted, restore)


def _without_state(vectorizer: Any) -> dict[str, Any]:
    _check_readable(vectorizer)
    return {}


def _nothing(estimator: Any, found: dict[str, Any]) -> None:
    raise DamagedFileError("it has no state")


def _fasttext() -> _Estimator:
    names = ("words_", "n_buckets_", "kept_buckets_", "target_names_")

    def fitted(vectorizer: Any) -> dict[str, Any]:
        return {name: getattr(vectorizer, name) for name in names if hasattr(vectorizer, name)}

    def restore(vectorizer: Any, found: dict[str, Any]) -> None:
        whole = integer(0, 2**31 - 1)
        checks = {
            "words_": list_of(instance(bytes)),
            "n_buckets_": whole,
            "kept_buckets_": optional(list_of(whole)),
        }
        if "target_names_" in found:  # of a model of fastText, not of a dictionary learned here
            checks["target_names_"] = array()
        check_fields(found, checks)
        short = integer(0, 64)
        sizes = (vectorizer.minn, vectorizer.maxn, vectorizer.word_ngrams)
        hashes = vectorizer.maxn or vectorizer.word_ngrams > 1
        if not all(map(short, sizes)) or (hashes and not found["n_buckets_"]):
            raise DamagedFileError("its features are not those of a fastText model")
        for name, value in found.items():
            setattr(vectorizer, name, value)
        vectorizer._table()

    return _Estimator(own_text.FastTextVectorizer, fitted, restore)


# --------------------------------------------------------------------- what stands before
_values = optional(array(np.float32, np.float64))
_seen = {name: _FITTED_CHECKS[name] for name in ("n_features_in_", "feature_names_in_", _OUTPUT)}
_count = any_of(integer(), array(np.int32, np.int64, np.float64, ndim=None), number)


def _public(cls: type, **checks: Check) -> _Estimator:
    """An estimator whose fitted state is public attributes."""
    checks = {**_seen, **checks}

    def fitted(estimator: Any) -> dict[str, Any]:
        own = vars(estimator)
        return {name: own[name] for name in checks if name in own}

    def restore(estimator: Any, found: dict[str, Any]) -> None:
        check_fields(found, {name: checks.get(name, anything) for name in found})
        for name, value in found.items():
            n_features = found.get("n_features_in_")
            if checks.get(name) is _values and value is not None and value.shape != (n_features,):
                raise DamagedFileError(f"{name} is not of its features")
            setattr(estimator, name, value)

    return _Estimator(cls, fitted, restore)


_components = array(np.float32, np.float64, ndim=2)
_BEFORE = [
    _public(Pipeline),
    _public(FeatureUnion),
    _public(Normalizer),
    _public(StandardScaler, mean_=_values, var_=_values, scale_=_values, n_samples_seen_=_count),
    _public(MaxAbsScaler, max_abs_=_values, scale_=_values, n_samples_seen_=_count),
    _public(
        MinMaxScaler,
        n_samples_seen_=_count,
        **dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), _values),
    ),
    _public(sklearn_text.TfidfTransformer, idf_=_values),
    _public(
        TruncatedSVD,
        components_=_components,
        **dict.fromkeys(
            ("explained_variance_", "explained_variance_ratio_", "singular_values_"),
            array(np.float32, np.float64),
        ),
    ),
]
_TEXT = [
    *(
        _vectorizer(getattr(module, name))
        for module in (sklearn_text, own_text)
        for name in ("CountVectorizer", "TfidfVectorizer")
    ),
    *(
        _Vectorizer(module.HashingVectorizer, _without_state, _nothing)
        for module in (sklearn_text, own_text)
    ),
    _fasttext(),
]


def _name_of(cls: type) -> str:
    """Name in the file: of scikit-learn's classes with a prefix."""
    return (
        cls.__name__ if cls.__module__.startswith("skmultireduce") else f"sklearn.{cls.__name__}"
    )


FORMS: dict[str, RecordForm] = {
    **RECORDS,
    **{_name_of(one.cls): one.form for one in (*_OWN, *_TEXT, *_BEFORE)},
}
_NAMES = {form.cls: name for name, form in FORMS.items()}


def remedy(value: Any) -> str:
    """What to do with an object that files do not hold."""
    if isinstance(value, BaseSearchCV):
        return "Save its best_estimator_"
    if hasattr(value, "to_local"):
        return "Save what its to_local() gives"
    return "Use skops.io.dump, or joblib.dump where you trust who can write the file"
