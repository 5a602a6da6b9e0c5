"""Benchmarks: each prints its figures and leaves them as JSON under build/bench/."""
