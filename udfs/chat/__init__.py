"""Ask an OpenAI-compatible server: one window of requests in flight, retries, deadlines, caps, and a reason for all."""
