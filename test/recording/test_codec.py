"""Values as JSON and back, exactly; no class but those of the kernel."""

import json
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_manager.interface.enums import ControlPilotState
from evse_manager.interface.parameters import Config
from evse_manager.interface.types import BoardState, Power, Powermeter, Time
from evse_manager.recording import codec


def through_json(plain):
    return json.loads(json.dumps(plain))


@pytest.mark.parametrize(
    'value',
    [
        None,
        True,
        1,
        1.0,
        -0.0,
        1e308,
        float('inf'),
        'Ladesäule \ud800',
        ControlPilotState.C,
        (1, 'two', (3.0,)),
        [1, [2]],
        frozenset({1}),
        deque([1.0, 2.0], maxlen=5),
        {'a': (1,), 2: None},
        BoardState(cp_state=ControlPilotState.B, stamp=Time(2**62)),
        Config(),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value):
    back = codec.decode(through_json(codec.encode(value)))
    assert back == value
    assert repr(back) == repr(value)
    assert type(back) is type(value)


@given(
    st.builds(
        Power, total=st.none() | st.floats(allow_nan=False), l1=st.sampled_from([0.0, -0.0, 1.0, None])
    ),
    st.builds(
        Power, total=st.none() | st.floats(allow_nan=False), l1=st.sampled_from([0.0, -0.0, 1.0, None])
    ),
)
def test_changes_make_the_new_value_of_the_old_one(old, new):
    before, after = Powermeter(power_w=old), Powermeter(power_w=new)
    plain = through_json(codec.changes(before, after))
    assert repr(codec.decode(plain, before)) == repr(after)


def test_what_did_not_change_is_not_written():
    before = BoardState(stamp=Time(1), cp_state=ControlPilotState.B)
    assert codec.changes(before, replace(before, stamp=Time(2))) == {'$~': {'stamp': 2}, '$': 'BoardState'}


@pytest.mark.parametrize(
    'plain', [{'$': 'Popen'}, {'$enum': 'BoardState.x'}, {'$~': {}}, {}, {'$call': 'system'}]
)
def test_what_is_no_value_of_the_kernel_is_refused(plain):
    with pytest.raises(codec.CodecError):
        codec.decode(plain)


def test_a_class_whose_name_another_one_has_is_not_mistaken_for_it():
    twin = type('BoardState', (), {})
    with pytest.raises(TypeError, match='BoardState'):
        codec.encode(twin())
