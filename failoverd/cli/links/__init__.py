"""`failoverctl links`: declared links. Loaded for these commands only."""
