"""Declared links: what is declared, what is there, and the requests that lead from one to the other."""
