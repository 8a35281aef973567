"""Settings of the whole test session, docstring examples included."""

import os

import pytest
from hypothesis import settings

# Examples are not timed: a busy machine is no failure.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def own_data_home(tmp_path_factory):
    """Keep the data sets that tests build out of the user's data home."""
    before = os.environ.get("SCIKIT_LEARN_DATA")
    os.environ["SCIKIT_LEARN_DATA"] = str(tmp_path_factory.mktemp("data_home"))
    os.environ.setdefault("MPLBACKEND", "Agg")
    yield
    if before is None:
        del os.environ["SCIKIT_LEARN_DATA"]
    else:
        os.environ["SCIKIT_LEARN_DATA"] = before
