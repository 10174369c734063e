"""A simulated XCP-ng pool that real XAPI clients cannot tell from a real one, in the calls that matter.

It knows nothing of who uses it. Run it with `python -m simulator WORLD`, or in a test with `simulator.running(...)`.
"""

from simulator.simulation import Simulation, running

__all__ = ["Simulation", "running"]
