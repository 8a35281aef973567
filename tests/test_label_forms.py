"""What people have in place of an indicator: the advice of the error makes one.

Classes of input: columns of lists, tuples, sets, arrays, dicts (in lists, arrays, pandas,
arrow-backed pandas, polars, pyarrow), with and without gaps; label sets as one string;
names or numbers of labels filled up to a table; 0 and 1 in words, digits, bytes,
categories, fields, with missing values, as signs, as counts; columns that are no labels.
"""

import ast
import re

import hostile
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction import DictVectorizer
from sklearn.preprocessing import MultiLabelBinarizer, OneHotEncoder

from skmultireduce import MultiLabelSGDClassifier
from skmultireduce._data.label_sets import read_labels

FORMS = hostile.LABEL_LISTS | hostile.SPELLINGS
X, Y = hostile.data()


def follow(message, y, name="y"):
    """What the first piece of code in a message makes of y."""
    import numpy.lib.recfunctions

    code = re.findall("`(.*?)`", message)[0]
    names = {
        "numpy": numpy,
        "MultiLabelBinarizer": MultiLabelBinarizer,
        "DictVectorizer": DictVectorizer,
        "OneHotEncoder": OneHotEncoder,
        "ast": ast,
        name: y,
    }
    try:
        return eval(code, names)
    except SyntaxError:
        exec(code, names)
        return names[name]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("allow_weights", [False, True])
def test_advice_works(name, allow_weights):
    for package in ("pandas", "polars", "pyarrow"):
        pytest.importorskip(package)
    y = FORMS[name](Y.copy())
    with pytest.raises(ValueError, match="`") as caught:
        read_labels(y, allow_weights=allow_weights, input_name="y_true")
    label_sets, _ = read_labels(follow(str(caught.value), y, "y_true"))
    np.testing.assert_array_equal(label_sets.to_csr().toarray(), Y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_indicator_with_gaps_holds_no_numbers_of_labels(value):
    y = Y.astype(float)
    y[0, 0] = value
    with pytest.raises(ValueError, match="put 0 where a label is not known") as caught:
        read_labels(y)
    np.testing.assert_array_equal(follow(str(caught.value), y), np.where(np.isfinite(y), y, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([["a", "b"], [1]], r"str\(label\)"),
        ([["a", "b"], None, [1, None]], r"str\(label\).*hasattr"),
    ],
)
def test_labels_of_mixed_types(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_labels(text)
    assert follow(str(caught.value), text).shape == (len(text), 3)


def test_columns_with_classes_of_their_own():
    y = np.array([[1, 3, 3], [2, 1, 1], [2, 3, 2]])
    with pytest.raises(ValueError, match=r"MultiLabelBinarizer.*OneHotEncoder"):
        read_labels(y)


@pytest.mark.parametrize("classes", ["cat, wild|cat, tame|dog, tame|dog, wild", "New York|York"])
def test_classes_with_separators_in_their_names(classes):
    classes = classes.split("|")
    if classes == ["New York", "York"]:
        classes += ["New Delhi", "Delhi", "London"]
    _, target = read_labels(np.array(classes * 3))
    assert target.classes.tolist() == sorted(classes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f8"])
@pytest.mark.parametrize("sparse", [False, True])
def test_fractional_weights_of_any_size_pass(dtype, sparse):
    if sparse and dtype in (">f8", np.float16):
        pytest.skip("scipy.sparse has no such type")
    y = (Y * 40.5 + Y * np.arange(4)).astype(dtype)
    label_sets, _ = read_labels(sp.csr_array(y) if sparse else y, allow_weights=True)
    np.testing.assert_array_equal(label_sets.values, y[y != 0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float16, np.float64, object])
@pytest.mark.parametrize("container", [np.array, sp.csr_array, sp.lil_matrix])
def test_whole_numbers_are_no_weights(dtype, container):
    if container is not np.array and dtype in (object, np.float16):
        pytest.skip("scipy.sparse has no such type")
    y = container((Y * np.arange(1, 5)).astype(dtype))
    with pytest.raises(ValueError, match=r"MultiLabelBinarizer.*Label weights are fractions"):
        read_labels(y, allow_weights=True)
    with pytest.raises(ValueError, match="MultiLabelBinarizer") as caught:
        read_labels(y)
    assert "weights" not in str(caught.value)


def test_advice_for_weights_works():
    y = Y * np.array([1, 2, 3, 2])
    label_sets, _ = read_labels(y / y.max(), allow_weights=True)
    np.testing.assert_array_equal(label_sets.values * 3, y[y != 0])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("y", [Y + 1, (Y + 1.0), Y * [1, 2, 3, 4]], ids=["ids", "float", "codes"])
def test_label_numbers_are_refused_by_every_door(method, y):
    model = MultiLabelSGDClassifier(max_iter=2)
    with pytest.raises(ValueError, match="MultiLabelBinarizer"):
        getattr(model, method)(X, y)
    with pytest.raises(ValueError, match="MultiLabelBinarizer"):
        model.fit_stream([(X, y)])
