"""Definitions as they stand in recordings, and how a library that is not ours reads them."""

import pytest

import evse_manager.msg
from evse_manager.nodes.definitions import DefinitionError, definition, types_in

OURS = sorted(name for name in dir(evse_manager.msg) if name[0].isupper())


def test_types_of_fields_are_found_whatever_their_bounds():
    text = """
    # Comment 1
    uint8 CONSTANT=1
    string<=8 text
    string[<=3] texts
    Limits[<=1] limits   # bounded
    Limits[] more
    float64[3] fixed
    builtin_interfaces/Time stamp
    std_msgs/Header[2] headers
    """
    assert types_in(text, 'evse_manager') == [
        'evse_manager/msg/Limits',
        'evse_manager/msg/Limits',
        'builtin_interfaces/msg/Time',
        'std_msgs/msg/Header',
    ]


def test_a_type_that_is_not_installed_is_named():
    with pytest.raises(DefinitionError, match='nobody/msg/Nothing'):
        definition('nobody/msg/Nothing')


@pytest.mark.parametrize('name', OURS)
def test_another_library_understands_every_definition(name):
    typesys = pytest.importorskip(
        'rosbags.typesys', reason='rosbags is not installed (requirements/test.txt)'
    )
    wanted = f'evse_manager/msg/{name}'
    text = definition(wanted)
    found = typesys.get_types_from_msg(text, wanted)
    fields = getattr(evse_manager.msg, name).get_fields_and_field_types()
    assert [field for field, _ in found[wanted][1]] == [
        field for field in fields if field != 'structure_needs_at_least_one_member'
    ]
