"""Model files: what they hold comes back, and what was changed is refused."""

import contextlib
import json
import random
import subprocess
import sys
import time
import tracemalloc
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import text as sklearn_text
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    MultiLabelBinarizer,
    Normalizer,
    StandardScaler,
)

from skmultireduce import (
    FixedThresholdMultiLabel,
    LabelListClassifier,
    LabelTreeClassifier,
    MultiClassReduction,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    load_model,
    model_info,
    save_model,
)
from skmultireduce._model_files import container
from skmultireduce._model_files.container import DamagedFileError
from skmultireduce._model_files.records import RECORDS, _is_sums
from skmultireduce._model_files.values import Reader, Writer
from skmultireduce.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
    load_fasttext,
)

TEXTS = ["a b c", "b c d", "a d e f", "e f g", "a b", "c d"] * 10
LISTS = [["x", "y"], ["y"], ["x", "z"], ["z"], ["x"], ["y"]] * 10
Y = MultiLabelBinarizer().fit_transform(LISTS)
WORDS = {"token_pattern": r"\S+"}
FASTTEXT = Path(__file__).parent / "fasttext"


def sgd(**params):
    return MultiLabelSGDClassifier(random_state=0, max_iter=5, **params)


def cut(model, **params):
    return ThresholdedMultiLabel(model, random_state=0, cv=2, **params)


HINGE = {"reduction": "one_vs_rest", "loss": "squared_hinge"}
MODELS = {
    "global": make_pipeline(TfidfVectorizer(**WORDS), cut(sgd())),
    "per label": make_pipeline(CountVectorizer(dtype=np.float32, **WORDS),
                               cut(sgd(**HINGE), strategy="per_label", min_precision=0.5)),
    "adjusted, tuned": make_pipeline(
        CountVectorizer(vocabulary=["a", "b", "c", "d"], **WORDS), sklearn_text.TfidfTransformer(),
        cut(sgd(), strategy="adjusted", param_grid="auto", store_cv_results=True)),
    "top k": make_pipeline(sklearn_text.CountVectorizer(**WORDS), cut(sgd(), strategy="top_k")),
    "relative": make_pipeline(TfidfVectorizer(**WORDS), cut(sgd(), strategy="relative")),
    "network": make_pipeline(
        sklearn_text.CountVectorizer(**WORDS),
        MultiLabelMLPClassifier(average=True, max_iter=3, hidden_layer_sizes=(5,),
                                random_state=0)),
    "sampled network": make_pipeline(
        CountVectorizer(**WORDS),
        MultiLabelMLPClassifier(max_iter=2, n_sampled_labels=2, random_state=0)),
    "tree": make_pipeline(
        HashingVectorizer(n_features=1000, **WORDS),
        cut(LabelTreeClassifier(random_state=0, n_trees=2, branching=(2,), min_magnitude=0),
            response_method="predict_scores", n_candidates=2)),
    "half tree": make_pipeline(
        sklearn_text.HashingVectorizer(n_features=100, **WORDS),
        LabelTreeClassifier(random_state=0, dtype="float16", min_magnitude=0)),
    "joint": make_pipeline(
        sklearn_text.TfidfVectorizer(**WORDS),
        MultiClassReduction(sgd(), size_model="joint", decision="f1", random_state=0)),
    "expected": make_pipeline(
        sklearn_text.TfidfVectorizer(**WORDS),
        MultiClassReduction(sgd(), size_model="expected", size_estimator=sgd(),
                            random_state=0)),
    "fixed": make_pipeline(
        sklearn_text.TfidfVectorizer(use_idf=False, **WORDS),
        FixedThresholdMultiLabel(sgd(reduction="one_vs_rest"), threshold=[0.1, 0.2, 0.3])),
    "dense": make_pipeline(
        make_union(sklearn_text.TfidfVectorizer(**WORDS),
                   TfidfVectorizer(analyzer="char", ngram_range=(1, 2))),
        MaxAbsScaler(), TruncatedSVD(3, random_state=0), StandardScaler(), MinMaxScaler(),
        Normalizer(), sgd(dtype="float64", n_jobs=2)),
}  # fmt: skip


def fitted(name):
    return clone(MODELS[name]).fit(TEXTS, Y)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Models and their files."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for name in MODELS:
        model = fitted(name)
        save_model(model, folder / name, notes={"name": name})
        found[name] = model, folder / name
    return found


def dense(y):
    return y.toarray() if sparse.issparse(y) else np.asarray(y)


def assert_same(one, two):
    np.testing.assert_array_equal(dense(one.predict(TEXTS)), dense(two.predict(TEXTS)))
    for name in ("predict_proba", "decision_function"):
        if hasattr(one, name):
            scores = (getattr(model, name)(TEXTS) for model in (one, two))
            np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("name", MODELS)
def test_comes_back(files, name, tmp_path):
    model, path = files[name]
    loaded = load_model(path)
    assert_same(loaded, model)
    assert repr(loaded) == repr(model)
    save_model(loaded, tmp_path / "again", notes={"name": name})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_goes_on(tmp_path):
    X, path = np.random.default_rng(0).random((60, 5)), tmp_path / "model"
    rng = np.random.RandomState(0)
    for model in (sgd(learning_rate="auto"), LabelTreeClassifier(random_state=rng)):
        model.partial_fit(X[:30], Y[:30])
        save_model(model, path)
        loaded = load_model(path).partial_fit(X[30:], Y[30:])
        assert np.array_equal(
            loaded.predict_proba(X), model.partial_fit(X[30:], Y[30:]).predict_proba(X)
        )


def test_sparse_weights_scaled_features_and_classes(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) * [1, 10, 100, 1, 1] + [0, 0, 0, 2000, 0]
    scaled = sgd().fit(X, Y)
    assert scaled._training.scaling is not None
    pruned = sgd().fit(X, Y).sparsify(density=0.5)
    classes = sgd().fit(X, np.array(["red", "green", "blue"] * 20))
    for model in (scaled, pruned, classes):
        save_model(model, tmp_path / "model")
        loaded = load_model(tmp_path / "model")
        assert loaded.predict(X).tolist() == model.predict(X).tolist()
        assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_label_lists_and_names(tmp_path):
    model = LabelListClassifier(fitted("global")).fit(TEXTS, LISTS)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.predict(TEXTS).tolist() == model.predict(TEXTS).tolist()
    assert loaded.label_names_.tolist() == ["x", "y", "z"]
    assert loaded.estimator_[-1].estimator_.label_names_.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("name", ["softmax.bin", "subwords.ftz", "ova.bin"])
def test_fasttext_models(tmp_path, name):
    model = load_fasttext(FASTTEXT / name)
    save_model(model, tmp_path / "model")
    assert np.array_equal(
        load_model(tmp_path / "model").predict_proba(TEXTS), model.predict_proba(TEXTS)
    )


def test_unfitted(tmp_path):
    save_model(MODELS["tree"], tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert_same(loaded.fit(TEXTS, Y), fitted("tree"))


def test_info(files):
    info = model_info(files["dense"][1])
    assert info["notes"] == {"name": "dense"}
    assert set(info["versions"]) == {"skmultireduce", "scikit-learn", "numpy", "python"}
    assert {"MultiLabelSGDClassifier", "sklearn.TruncatedSVD"} <= set(info["classes"])
    assert info["n_bytes"] == files["dense"][1].stat().st_size


def test_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    save_model(sgd(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="code"):
        save_model(CountVectorizer(tokenizer=str.split), path)
    assert path.read_bytes() == before
    save_model(fitted("global"), path)
    assert path.read_bytes() != before
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_left_out_with_a_warning(tmp_path):
    model = make_pipeline(
        TfidfVectorizer(**WORDS),
        ThresholdedMultiLabel(
            sgd(), cv=KFold(2, shuffle=True, random_state=0), scoring=get_scorer("f1_micro")
        ),
    ).fit(TEXTS, Y)
    with pytest.warns(UserWarning, match=r"leaves out cv=KFold.*scoring="):
        save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded[-1].cv, loaded[-1].scoring) == (None, "jaccard_micro")
    assert_same(loaded, model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (OneVsRestClassifier(LogisticRegression()), r"no sklearn.multiclass.*skops"),
        (cut(OneVsRestClassifier(LogisticRegression())), r"do not hold OneVsRest.*skops"),
        (GridSearchCV(sgd(), {}), "best_estimator_"),
        (CountVectorizer(preprocessor=str.lower), "preprocessor=.*which is code"),
        (HashingVectorizer(analyzer=str.split), "analyzer=.*which is code"),
        (CountVectorizer(input="filename"), "names of files"),
        (sgd(alpha=object()), "do not hold <object"),
        ("no model", "no builtins.str"),
    ],
)
def test_refused(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        save_model(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_subclasses_are_refused(tmp_path):
    class Own(MultiLabelSGDClassifier):
        pass

    with pytest.raises(ValueError, match="Own"):
        save_model(Own(), tmp_path / "model")


# ----------------------------------------------------------------------- changed files
def remade(path, edit):
    """Bytes of a file whose header and arrays were changed, with checksums that agree."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(parts["model.json"])
    edit(header, parts)
    parts["model.json"] = json.dumps(header).encode()
    out = path.with_suffix(".remade")
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out


def load_within_limits(path):
    """Load in 1 s and 100 MB; return the model, or the message."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        return load_model(path)
    except ValueError as error:
        return str(error)
    finally:
        assert time.process_time() - begin < 1
        assert tracemalloc.get_traced_memory()[1] < 1e8
        tracemalloc.stop()


def test_a_name_that_is_longer_than_the_directory_is_refused(files, tmp_path):
    data = bytearray(files["global"][1].read_bytes())
    data[data.rindex(b"PK\x01\x02") + 28] += 78
    (tmp_path / "longer").write_bytes(data)
    with pytest.raises(ValueError, match="not as it was written"):
        load_model(tmp_path / "longer")


def test_mutated_files_are_refused(files, tmp_path):
    rng, path = random.Random(0), tmp_path / "mutated"
    sources = [files[name][1].read_bytes() for name in ("global", "network", "tree", "joint")]
    for _ in range(200):
        data = bytearray(rng.choice(sources))
        how = rng.random()
        if how < 0.6:
            for _ in range(rng.choice([1, 1, 2, 8])):
                place = rng.randrange(len(data))
                data[place] ^= rng.randrange(1, 256)
        elif how < 0.8:
            del data[rng.randrange(len(data)) :]
        else:
            first = rng.randrange(len(data))
            del data[first : first + rng.randrange(1, 200)]
        path.write_bytes(data)
        found = load_within_limits(path)
        assert isinstance(found, str)
        assert "no model file" in found or "Install a later" in found


VALUES = [
    None, True, -1, 0, 2**31, 10**30, 1e308, "x", [], {}, [[]], {"array": 0}, {"array": 10**9},
    {"record": 0}, {"float": "nan"}, {"texts": [0, 1]}, {"ints": 0}, {"tuple": [1]},
    {"dict": [[], []]}, {"dict": [[{"tuple": [[]]}], [1]]}, {"type": "object"}, {"dtype": "|O"},
    {"dtype": "<U999999"}, {"scalar": ["int8", 10**9]}, {"_kind": 0}, {"init__": 0},
]  # fmt: skip


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@pytest.mark.parametrize("name", ["global", "network", "tree", "joint", "dense"])
def test_wrong_values_with_right_checksums(files, name):
    rng = random.Random(0)

    def edit(header, parts):
        place = rng.choice(list(places(header)))
        inside = header
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = rng.choice(VALUES)

    def edit_array(header, parts):
        names = [one for one in parts if one.startswith("arrays")]
        parts[rng.choice(names)] = parts[rng.choice(names)]

    refused = 0
    for turn in range(40):
        found = load_within_limits(remade(files[name][1], edit_array if turn % 4 == 0 else edit))
        refused += isinstance(found, str)
        if not isinstance(found, str):
            # What is accepted computes, right or wrong, or raises.
            with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, Warning):
                found.predict(TEXTS)
    assert refused >= 20


def test_sums_are_numbers_by_name():
    assert _is_sums({"counts": np.zeros(2, np.int64), "n": 3})
    for wrong in ([], {"counts": "many"}, {1: 3}):
        assert not _is_sums(wrong)


def test_nothing_is_imported_or_run(files, tmp_path):
    def edit(header, parts):
        header["records"][0]["class"] = "antigravity.geohash"

    path = remade(files["global"][1], edit)
    code = (
        "import sys\nfrom skmultireduce import load_model\nbefore = set(sys.modules)\n"
        f"try:\n    load_model({str(path)!r})\nexcept ValueError as error:\n    print(error)\n"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert "'antigravity.geohash' is no class that model files hold" in first
    assert "antigravity" not in last


def header_with(**changed):
    def edit(header, parts):
        header.update(changed)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (header_with(form=2, versions={"skmultireduce": "9.0"}), "by skmultireduce 9.0, in form"),
        (header_with(form="1"), "not of its form"),
        (header_with(format="other"), "another one"),
        (header_with(more=1), "not of its form"),
        (header_with(records=[]), "a record is missing"),
        (header_with(model={"record": -1}), "a record is missing"),
        (lambda h, p: p.update({"more": b""}), "members"),
        (lambda h, p: p.pop("arrays/0.npy"), "members"),
        (lambda h, p: p.update({"arrays/0.npy": b"\x93NUMPY\x01\x00\xff\xff"}), "too long a head"),
        (lambda h, p: p.update({"arrays/0.npy": b"x" * 100}), "no array"),
    ],
)
def test_header(files, edit, message):
    found = load_within_limits(remade(files["global"][1], edit))
    assert message in found


def array_bytes(descr, shape, data=b"", order=False):
    text = repr({"descr": descr, "fortran_order": order, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (array_bytes("<f4", (2**40,)), "size that its header says"),
        (array_bytes("<f4", (2**20, 2**20, 2**30)), "size that its header says"),
        (array_bytes("<f4", (0, 10**30)), "archive"),
        (array_bytes("|O", (1,), b"12345678"), "plain numbers"),
        (array_bytes([("a", "<f4")], (1,), b"1234"), "plain numbers"),
        (array_bytes(">f4", (1,), b"1234"), "plain numbers"),
        (array_bytes("<f4", (-1,)), "shape"),
        (array_bytes("<f4", (1,), b"1234", True), "shape"),
        (array_bytes("|b1", (1,), b"\x02"), "truth values"),
        (b"\x93NUMPY\x01\x00\x05\x00__im_", "header that is none"),
    ],
)
def test_array(files, data, message):
    path = remade(files["global"][1], lambda h, p: p.update({"arrays/0.npy": data}))
    assert message in load_within_limits(path)


def test_bombs(tmp_path):
    path = tmp_path / "bomb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * 10**8)
    assert "compressed" in load_within_limits(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", b" " * (container.MOST_JSON + 1))
    assert "longer than" in load_within_limits(path)
    for text, message in (
        (b"[" * 10**6, "archive|nested"), (b'{"a":1,"a":1}', "twice"), (b"[NaN]", "NaN"),
        (b"[]", "no object"), (b"1" * 10**5, "archive"),
    ):  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("model.json"), text)
        found = load_within_limits(path)
        assert any(one in found for one in message.split("|"))
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6000):
            archive.writestr(zipfile.ZipInfo(f"{number:0120}"), b"")
    assert "directory is too long" in load_within_limits(path)
    path.write_bytes(b"")
    assert "does not end" in load_within_limits(path)
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


@pytest.mark.parametrize("name", [n for n, form in RECORDS.items() if is_dataclass(form.cls)])
def test_all_fields_are_kept(name):
    """A new field of a class needs its check."""
    left_out = {"progress", "position"} if name == "Training" else set()
    cls, take, _ = RECORDS[name]
    value = SimpleNamespace(**{field.name: field.default for field in fields(cls)})
    assert set(take(value)) == {field.name for field in fields(cls)} - left_out


def test_many_values_are_arrays():
    writer = Writer(lambda value: None)
    texts = ["ab", "", "\udcff", "ü"] * 10
    values = [texts, [1.5] * 40, list(range(40)), [b"", b"x"]]
    written = [writer.write(value) for value in values]
    assert [len(value) for value in written] == [1] * 4
    assert len(writer.arrays) == 6
    reader = Reader({}, [], writer.arrays)
    assert [reader.read(value) for value in written] == values


def test_values_come_back_in_their_types():
    values = [
        None, True, 3, -1.5, np.inf, "text", np.str_("text"), [b"bytes"], (1, ("a",)), {1, 2},
        {"a": 1, 2: [None]}, np.float32(1.5), np.bool_(True), np.dtype("<U3"), np.dtype(object),
        np.dtype(np.float16), np.float64, int, bool, np.arange(6).reshape(2, 3),
        np.array(["a", "bc"]), np.array([1, "a"], dtype=object),
    ]  # fmt: skip
    writer = Writer(lambda value: None)
    written = [writer.write(value) for value in values]
    reader = Reader({}, [], writer.arrays)
    for value, content in zip(values, written, strict=True):
        found = reader.read(content)
        assert type(found) is type(value)
        np.testing.assert_equal(found, value)
        assert getattr(found, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"tuple": [x]}], ids=["list", "tuple"])
def test_values_are_not_nested_too_deeply(wrap):
    value = 0
    for _ in range(40):
        value = wrap(value)
    with pytest.raises(DamagedFileError, match="nested too deeply"):
        Reader({}, [], []).read(value)


def test_large_members(files, tmp_path, monkeypatch):
    # As for arrays beyond 4 GB.
    open_member = zipfile.ZipFile.open

    def with_zip64(self, name, mode="r", *, force_zip64=False):
        return open_member(self, name, mode, force_zip64=mode == "w")

    monkeypatch.setattr(zipfile.ZipFile, "open", with_zip64)
    save_model(files["global"][0], tmp_path / "model")
    monkeypatch.undo()
    assert_same(load_model(tmp_path / "model"), files["global"][0])
