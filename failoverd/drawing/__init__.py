"""Lanes on an axis of time, as SVG and as text: failoverctl draws the history with it, the lab its stories.

By hand: it is smaller than a library, and failoverctl need not load one.
"""
