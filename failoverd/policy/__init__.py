"""The decisions: who belongs together (and why not), who carries traffic, what things are called. Plain functions."""
