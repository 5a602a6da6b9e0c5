"""Spark's Python daemon with the bridge in it: Spark starts this module where ``bridge.SPARK_CONF`` names it."""

import runpy

if __name__ == "__main__":
    from lakehouse.stream import bridge  # noqa: F401 # before petastorm

    import petastorm  # isort: skip # noqa: F401 # once here, not once in each worker that is forked from here

    runpy.run_module("pyspark.daemon", run_name="__main__", alter_sys=True)
