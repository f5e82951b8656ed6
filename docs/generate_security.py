"""Write config/security/policies.xml, the SROS 2 policy of every role, from the tables of the interface."""

from pathlib import Path

from evse_manager.interface.security import Space, policies

FILE = Path(__file__).resolve().parents[1] / 'config' / 'security' / 'policies.xml'


def policy_file() -> str:
    """Return the file's text."""
    return policies(Space())


if __name__ == '__main__':
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(policy_file())
