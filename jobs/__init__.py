"""One file a job: a frozen Config, one DataFrame function, a short main. `python -m jobs` lists them."""
