"""Write the golden results anew: ``python tests/golden/make.py`` after a change of the method.

A change that was not meant to alter results must not need this.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]


def main() -> None:
    """Write linear.json and the pickle of this release."""
    from problem import LINEAR, data, linear, objective, pickled

    import skmultireduce

    warnings.simplefilter("ignore")
    X, y = data()
    found = {}
    for name in LINEAR:
        model = linear(name).fit(X, y)
        found[name] = {
            "objective": objective(model, X, y),
            "loss_curve": [model.loss_curve_[0], model.loss_curve_[-1]],
            "coef": model.coef_[:2, :3].tolist(),
            "intercept": model.intercept_[:2].tolist(),
        }
    (HERE / "linear.json").write_text(json.dumps(found, indent=1) + "\n")

    import numpy as np

    stored = {
        name: {
            "model": model,
            "predict": model.predict(X[:8]),
            "proba": model.predict_proba(X[:8]),
        }
        for name, model in pickled().items()
    }
    path = HERE / f"models-{skmultireduce.__version__}.pickle"
    path.write_bytes(pickle.dumps(stored, protocol=4))
    print(f"{path.name}: {path.stat().st_size} bytes, NumPy {np.__version__}")


if __name__ == "__main__":
    main()
