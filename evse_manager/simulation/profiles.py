"""Electric vehicles by name: their abilities, and the misbehavior of real ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvProfile:
    """The properties of an EV; times in seconds."""

    description: str = 'A well-behaved car: three phases, 32 A, half full.'
    phases: int = 3
    max_current_a: float = 32.0
    """Most current per phase."""
    min_current_a: float = 6.0
    """A lower offer counts as no offer."""
    battery_capacity_wh: float = 60_000.0
    soc_percent: float = 50.0
    efficiency: float = 0.92
    """Share of the energy from the outlet that reaches the battery."""
    taper_from_percent: float = 80.0
    """From this state of charge on the current falls, to a tenth when full."""
    ask_delay_s: float = 0.5
    """From a new offer to state C."""
    reaction_s: float = 1.0
    """From a new duty cycle to the new current (at most 5 s by the norm)."""
    start_delay_s: float = 1.0
    """From the contactor's closing to the flow of current."""
    stop_delay_s: float = 1.0
    """From the end of the offer to no current and state B (at most 3 s by the norm)."""
    draw_factor: float = 1.0
    """How much of the offered current it draws."""
    asks: bool = True
    """Whether it ever asks for power."""
    follows_reductions: bool = True
    """Whether it draws less when less is offered."""
    leaves_c: bool = True
    """Whether it goes back to B, and stops drawing, when the offer ends."""
    has_b_state: bool = True
    """Whether it has a switch between B and C; without, plugging in is C at once (IEC 61851-1 A.2.3)."""
    flap_period_s: float = 0.0
    """It leaves and enters C all the time, after so long each; 0 = it does not."""
    asleep: bool = False
    """It asks only after a break of the pilot in F."""


WAKE_BY_F_S = 2.5
"""A break in F of at least this long wakes an EV that is asleep (boards show F for 3 to 4 s)."""

SIMPLIFIED_CURRENT_A = 10.0
"""Most current of an EV without state B (IEC 61851-1 A.2.3)."""

PROFILES: dict[str, EvProfile] = {
    'default': EvProfile(),
    'single_phase': EvProfile('A car with one phase, 32 A.', phases=1),
    'never_asks': EvProfile('Stays in B whatever is offered, even after a wake-up.', asks=False),
    'needs_wakeup': EvProfile('Sleeps in B until the pilot has shown F for 2.5 s.', asleep=True),
    'stays_in_c': EvProfile('Goes on drawing in C when the offer ends.', leaves_c=False),
    'no_b_state': EvProfile(
        'Has a fixed resistor: plugging in is C at once, 10 A at most.',
        has_b_state=False,
        max_current_a=SIMPLIFIED_CURRENT_A,
    ),
    'overdraws': EvProfile('Draws a quarter more than it was offered.', draw_factor=1.25, max_current_a=80.0),
    'ignores_reductions': EvProfile(
        'Keeps its current when less is offered, and when the offer ends.',
        follows_reductions=False,
        leaves_c=False,
    ),
    'flapping': EvProfile('Leaves and enters C every 5 s.', flap_period_s=5.0),
    'slow': EvProfile(
        'Takes its time: 8 s to ask, 4.8 s to follow a new duty cycle, 2.8 s to stop.',
        ask_delay_s=8.0,
        reaction_s=4.8,
        start_delay_s=5.0,
        stop_delay_s=2.8,
    ),
}
"""Every EV that ``plug_in`` knows by name."""
