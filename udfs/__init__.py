"""What is done to a batch: plain functions on Arrow, NumPy and text, tested without a JVM."""
