"""Lanes on an axis of time, as SVG and as text: failoverctl draws the history with it, the lab its stories."""
