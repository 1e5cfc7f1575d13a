"""Rehearsal of policies: recorded commands are played again under a draft, beside what was in force, in memory.

`playing` plays them on the pure core and `comparing` counts: both are pure. `files` and `history` read what is played, from a file or
from a platform's topic.
"""
