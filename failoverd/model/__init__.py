"""The nouns: links, addresses, routes, pairs, events, requests, signals, errors. Frozen, no logic, no I/O."""
