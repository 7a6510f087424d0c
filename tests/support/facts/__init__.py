"""Facts that a worker may keep in memory, each with a probe and with changes that must be seen by every worker at once.

`FACTS` holds them by name. The end-to-end suite changes each through one worker and looks at it through all the
others; the campaign of histories does the same while many clients look on.
"""

from tests.support.facts import buckets, containers, identity, keys, objects
from tests.support.facts.scene import FACTS, Fact, Make, Person, Scene

__all__ = ["FACTS", "Fact", "Make", "Person", "Scene", "buckets", "containers", "identity", "keys", "objects"]
