"""Results of earlier releases hold; see golden/make.py."""

import json
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parent / "golden"
sys.path.insert(0, str(GOLDEN))

from problem import LINEAR, data, linear, objective  # noqa: E402


@pytest.mark.parametrize("name", LINEAR)
def test_linear(name):
    expected = json.loads((GOLDEN / "linear.json").read_text())[name]
    X, y = data()
    model = linear(name).fit(X, y)
    found = objective(model, X, y)
    # The instructions of another processor differ in last bits, which thirty epochs amplify.
    assert found == pytest.approx(expected["objective"], rel=1e-9), "objective"
    assert [model.loss_curve_[0], model.loss_curve_[-1]] == pytest.approx(
        expected["loss_curve"], rel=1e-9
    )
    for attribute, part in (("coef", model.coef_[:2, :3]), ("intercept", model.intercept_[:2])):
        assert part.ravel().tolist() == pytest.approx(
            [v for row in expected[attribute] for v in (row if isinstance(row, list) else [row])],
            rel=1e-7,
            abs=1e-9,
        ), f"{attribute}: the objective is {found!r}, it was {expected['objective']!r}"


def test_golden_results_are_good_solutions():
    """The numbers are optima, not just numbers: other reductions' optima are worse."""
    X, y = data()
    for name, parameters in LINEAR.items():
        if "," in name:
            continue
        model = linear(name).fit(X, y)
        start = linear(name).set_params(max_iter=1, eta0=1e-12).fit(X, y)
        assert objective(model, X, y) < 0.9 * objective(start, X, y), parameters
