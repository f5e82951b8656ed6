"""How many reservations can be kept with the connectors that are left: a maximum bipartite matching."""

from collections.abc import Collection, Mapping


def kept(fitting: Mapping[int, Collection[str]], available: Collection[str]) -> int:
    """
    Return how many of the reservations can each have a connector of its own.

    ``fitting`` lists per reservation the connectors that it may use; only ``available`` ones count.
    Augmenting paths: at most reservations x connectors x connectors steps.
    """
    taken: dict[str, int] = {}

    def place(reservation: int, tried: set[str]) -> bool:
        for connector in fitting[reservation]:
            if connector not in available or connector in tried:
                continue
            tried.add(connector)
            if connector not in taken or place(taken[connector], tried):
                taken[connector] = reservation
                return True
        return False

    return sum(place(reservation, set()) for reservation in fitting)
