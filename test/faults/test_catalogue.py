"""The catalogue is complete, and its table is what is in ``docs/``."""

import re
import tomllib
from pathlib import Path

from faults.page import CATALOGUE

COUNTS = {'F': 48, 'L': 24, 'C': 24, 'M': 9, 'P': 14}


def test_every_number_is_there():
    catalogue = tomllib.loads(CATALOGUE.read_text(encoding='utf-8'))
    assert list(catalogue) == [f'{room}{n + 1}' for room, count in COUNTS.items() for n in range(count)]
    assert all(entry['stimulus'] and entry['expected'] for entry in catalogue.values())


def test_every_f_c_and_m_has_a_test_of_its_number():
    catalogue = tomllib.loads(CATALOGUE.read_text(encoding='utf-8'))
    here = Path(__file__).parent
    text = ''.join(path.read_text(encoding='utf-8') for path in sorted(here.glob('test_*.py')))
    named = {
        number for names in re.findall(r'def test_((?:[FCM]\d+_)+)', text) for number in names.split('_')
    }
    elsewhere = {'C7', 'C21', 'C22'}
    wanted = {n for n, entry in catalogue.items() if n[0] in 'FCM' and 'not_applicable' not in entry}
    assert wanted - named - elsewhere == set()
