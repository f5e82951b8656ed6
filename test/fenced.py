"""
The commands that README and docs give to type, page by page, and the test that types each.

A command stands in a block ``sh``, or behind ``$`` in a block ``console``.  Each is typed by the
tests of its page (``TYPED_BY``) or stands in ``NOT_TYPED`` with the reason.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

TYPED_BY = {
    'README.md': 'nodes/test_fenced_pages.py',
    'docs/authorization.md': 'nodes/test_typed_pages.py',
    'docs/cli.md': 'nodes/test_fenced_pages.py',
    'docs/depot.md': 'nodes/test_fenced_pages.py',
    'docs/energy.md': 'nodes/test_fenced_pages.py',
    'docs/first_steps.md': 'nodes/test_fenced_pages.py',
    'docs/interface.md': 'nodes/test_typed_topics.py',
    'docs/recording.md': 'nodes/test_fenced_pages.py',
    'docs/records.md': 'nodes/test_fenced_pages.py',
    'docs/robots.md': 'nodes/test_typed_pages.py',
    'docs/security.md': 'nodes/test_fenced_pages.py',
}
"""Page: the module below ``test/`` that types its commands, in their order."""

NOT_TYPED = {
    r'sudo |apt ': 'changes the machine',
    r'git clone |rosdep |colcon ': 'makes a workspace; CI builds the package in one',
    r'make (demo|test)\b': 'builds and runs all this; test/demo runs the demonstrations',
    r'make benchmarks': 'takes an hour of an idle machine',
    r'\. (\.venv|install)/': 'is the environment that the tests run in',
    r'docker ': 'needs a Docker daemon and images',
    r'systemctl |journalctl ': 'needs systemd',
    r'ros2 (launch|bag|security) ': 'is not among the wheels of ROS 2 (test_launch.py where it is installed)',
    r'ros2 run (rqt_|plotjuggler|diagnostic_aggregator)': 'is not among the wheels of ROS 2',
    r'rqt |rviz2 ': 'is not among the wheels of ROS 2',
    r'ros2 run evse_manager site_markers .* &$': 'is for RViz; test_site_markers.py runs the node',
    r'export ROS_SECURITY_|ROS_SECURITY_ENCLAVE_OVERRIDE=': 'needs the security plug-in of Fast DDS',
    r'export ROS_DISCOVERY_SERVER=': 'needs a discovery server; test_discovery_server.py starts one',
    r'evse gui( /|$)': 'needs a display; test/rqt runs the window off-screen',
    r'evse gui --for 60 ': 'takes a minute; the first steps type it shorter',
    r'ros2 service call /depot/validate_token ': 'is answered by a back end; test_authorization.py is one',
}
"""Pattern of the beginning of a command: why no test types it."""

SYNOPSIS = ('docs/cli.md',)
"""Pages with a ``text`` block of forms of commands, which test/cli/test_page.py compares with the program."""

PROGRAM = re.compile(
    r'(evse|ros2|make|git|python3?|pip3?|sqlite3|colcon|rosdep|rqt\w*|rviz2|sudo|apt|apt-get|docker|systemctl'
    r'|journalctl|export|source|cd|kill|mcap|curl|ssh)\s'
)
"""How a line begins that is meant to be typed."""

LANGUAGES = {'sh', 'console', 'text', 'json', 'yaml', 'python', 'mermaid', 'nft', 'udev'}


class Block(NamedTuple):
    """A fenced block."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f'{self.page}:{self.line}'


def pages() -> list[str]:
    """Return the README and every page of the documentation, relative to the checkout."""
    found = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
    return [path.relative_to(ROOT).as_posix() for path in found if not path.name.endswith('.template.md')]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    found, lines = [], iter(enumerate((ROOT / page).read_text().splitlines(), 1))
    for number, line in lines:
        if line.startswith('```'):
            inside = []
            for _, each in lines:
                if each.startswith('```'):
                    break
                inside.append(each)
            found.append(Block(page, number, line[3:].strip(), '\n'.join(inside)))
    return found


def commands_of(block: Block) -> list[str]:
    """Return the commands of a block: continued lines and here documents are one, comments are left out."""
    if block.language == 'console':
        found = [line[2:] for line in block.text.splitlines() if line.startswith('$ ')]
    elif block.language == 'sh' and '<<' in block.text:
        found = [block.text]
    elif block.language == 'sh':
        found = block.text.replace('\\\n', ' ').splitlines()
    else:
        found = []
    return [command for command in (_without_comment(line) for line in found) if command]


def _without_comment(line: str) -> str:
    return re.sub(r'(^|\s)#\s.*$', '', line).rstrip() if '<<' not in line else line


def commands(page: str) -> list[str]:
    """Return the commands of a page in their order."""
    return [command for block in blocks(page) for command in commands_of(block)]


def reason_not_typed(command: str) -> str | None:
    """Return why no test types a command; None where one has to."""
    return next((reason for pattern, reason in NOT_TYPED.items() if re.match(pattern, command)), None)


def typed(page: str) -> list[str]:
    """Return the commands of a page that its test types, in their order."""
    return [command for command in commands(page) if reason_not_typed(command) is None]
