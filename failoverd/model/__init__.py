"""The nouns: links, addresses, routes, pairs, events, requests, signals, errors. Frozen, without logic or I/O."""
