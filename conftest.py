"""Settings of the whole test session, docstring examples included."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

# Examples are not timed: a busy machine is no failure.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Cannot be imported without its optional packages.
collect_ignore = (
    [] if find_spec("distributed") else ["skmultireduce/dask.py", "skmultireduce/_cluster"]
)


@pytest.fixture(scope="session", autouse=True)
def own_data_home(tmp_path_factory):
    """Keep the data sets that tests build out of the user's data home."""
    before = os.environ.get("SCIKIT_LEARN_DATA")
    session = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # What all workers have in common, so that one of them builds for all.
        session = session.parent
    os.environ["SCIKIT_LEARN_DATA"] = str(session / "data_home")
    os.environ.setdefault("MPLBACKEND", "Agg")
    yield
    if before is None:
        del os.environ["SCIKIT_LEARN_DATA"]
    else:
        os.environ["SCIKIT_LEARN_DATA"] = before
