"""The effects are plain data, and both drivers know all of them."""

import dataclasses
import inspect
from typing import get_args

import pytest

from respram.patterns import drivers, effects


@pytest.mark.parametrize("kind", get_args(effects.Effect))
def test_an_effect_is_frozen_and_known_to_both_drivers(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    one = kind(*range(len(dataclasses.fields(kind))))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(one, "__dict__")
    for driver in (drivers.Driver, drivers.AsyncDriver):
        # Hand is answered by the one who iterates, and nowhere else.
        assert (f"{kind.__name__}(" in inspect.getsource(driver.perform)) == (kind is not effects.Hand)
