"""Theano as Lasagne 0.1 and Keras 1 look for it: names that they import and it gave up; no LSTM runs any of it."""

from __future__ import annotations

import os
import sys
import types
import warnings
from typing import Any

import pytest

# Without a compiler; its C code for BLAS asks numpy.distutils for what that no longer has, unless the flags are given.
FLAGS = "cxx=,device=cpu,floatX=float64,blas__ldflags="


def import_theano() -> Any:
    """The module; the test is skipped where it is not installed."""
    os.environ["THEANO_FLAGS"] = FLAGS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theano = pytest.importorskip("theano", reason="Theano-PyMC is not installed")
        from theano.sandbox import rng_mrg
        from theano.tensor.signal import pool
    downsample = types.ModuleType("theano.tensor.signal.downsample")
    downsample.max_pool_2d = pool.pool_2d  # type: ignore[attr-defined]
    sys.modules[downsample.__name__] = theano.tensor.signal.downsample = downsample
    rng_mrg.MRG_RandomStreams = rng_mrg.MRG_RandomStream
    theano.gof = theano.graph.basic
    return theano
