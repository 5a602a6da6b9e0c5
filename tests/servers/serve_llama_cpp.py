"""Run llama.cpp's server on one core: serve_llama_cpp.py MODEL.gguf NAME PORT."""

import signal
import sys


def main(weights: str, name: str, port: str) -> None:
    """Serve until ended."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = weights, {name}
    params.hostnames, params.port = ["127.0.0.1"], int(port)
    # The context is shared out: so many requests at one time, 2,048 tokens each.
    params.n_parallel, params.n_ctx = 8, 8 * 2048
    for threads in (params.cpuparams, params.cpuparams_batch):
        # Two threads that spin while they wait for each other take ten times as long on cores that others use too.
        threads.n_threads, threads.poll = 1, 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
