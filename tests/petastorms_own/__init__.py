"""petastorm's own tests, from its wheel, through the bridge."""
