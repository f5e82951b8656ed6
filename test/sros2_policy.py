"""Policies as ``ros2 security`` reads them: its schema, and the DDS permissions that it makes of them."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from lxml import etree

DATA = Path(__file__).parent / 'data' / 'sros2'
XML_NAMESPACE = b"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
  targetNamespace="http://www.w3.org/XML/1998/namespace">
  <xs:attribute name="base" type="xs:anyURI"/></xs:schema>"""
"""What the schema imports from the web."""


class _Offline(etree.Resolver):
    def resolve(self, url, identity, context):
        return self.resolve_string(XML_NAMESPACE, context) if url.endswith('xml.xsd') else None


def schema(name: str) -> etree.XMLSchema:
    """Return a schema of sros2."""
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Offline())
    return etree.XMLSchema(etree.parse(DATA / name, parser))


class Names(NamedTuple):
    """DDS topics in which ``*`` stands for any text, slashes included; what is denied comes first."""

    allow: frozenset[str]
    deny: frozenset[str]

    def allows(self, topic: str) -> bool:
        """Return whether a DDS topic is allowed."""
        denied = any(fnmatchcase(topic, name) for name in self.deny)
        return not denied and any(fnmatchcase(topic, name) for name in self.allow)


class Grant(NamedTuple):
    """What an enclave may write and read."""

    publish: Names
    subscribe: Names


def permissions(policies: str) -> etree._XSLTResultTree:
    """Return the DDS permissions that ``ros2 security create_permission`` writes."""
    transform = etree.XSLT(etree.parse(DATA / 'permissions.xsl'))
    return transform(etree.fromstring(policies.encode()))


def grants(policies: str) -> dict[str, Grant]:
    """Return what each enclave may do."""
    return {
        grant.get('name'): Grant(
            *(
                Names(
                    *(
                        frozenset(topic.text for topic in grant.iterfind(f'{rule}/{way}/topics/topic'))
                        for rule in ('allow_rule', 'deny_rule')
                    )
                )
                for way in Grant._fields
            )
        )
        for grant in permissions(policies).iter('grant')
    }
