"""What holds for every test."""

from __future__ import annotations

import hypothesis

# A deadline for each example measures the machine, not the code.
hypothesis.settings.register_profile("failoverd", deadline=None)
hypothesis.settings.load_profile("failoverd")
