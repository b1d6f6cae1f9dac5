"""Data and models that several rooms' tests share."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from tables import people
from workspaces import Workspace, make

from synth import Synthesizer


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """600 rows of `people`."""
    return people(600)


@pytest.fixture(scope="session")
def fitted(frame) -> Synthesizer:
    """A small autoregressive model of `frame`."""
    return Synthesizer("autoregressive", seed=0, epochs=6, width=16).fit(frame, target="churned")


@pytest.fixture(scope="session")
def make_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Workspace]:
    """Make copies of the repository with a small dataset and two runs."""
    return lambda: make(tmp_path_factory.mktemp("workspace"), tmp_path_factory.mktemp("airflow"))
