"""The benchmarks' tests use the data and the environment of all other tests."""

from __future__ import annotations

from conftest import ROOT as ROOT
from conftest import real_data as real_data
from conftest import sample_folder as sample_folder
from conftest import sample_tables as sample_tables
