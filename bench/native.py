"""Answers for the benchmarks and tests what faiss would: one JSON request a line, one JSON answer a line.

Started by bench/native.mjs where a Python with faiss is; one thread, as cellist has.
"""

import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import faiss  # noqa: E402
import numpy as np  # noqa: E402

faiss.omp_set_num_threads(1)
indexes = {}


def matrix(path):
    x = np.load(path)
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]), dtype=np.float32)


def hello():
    return {"version": faiss.__version__}


def read(file, rounds=1):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        indexes[file] = faiss.read_index(file)
        times.append((time.perf_counter() - start) * 1e3)
    return {"ntotal": indexes[file].ntotal, "times": times}


def search(file, queries, k, parameters, batch, first=None, rounds=1, out=None):
    """Searches the first queries, or all, in batches, `rounds` times over; times are of one batch each, in ms."""
    index = indexes[file]
    faiss.ParameterSpace().set_index_parameters(index, parameters)
    q = matrix(queries)[:first]
    times, found = [], []
    for r in range(rounds):
        for i in range(0, len(q) - batch + 1, batch):
            start = time.perf_counter()
            answer = index.search(q[i : i + batch], k)
            times.append((time.perf_counter() - start) * 1e3)
            if r == 0:
                found.append(answer)
    if out is not None:
        np.save(out + ".D.npy", np.concatenate([d for d, _ in found]))
        np.save(out + ".I.npy", np.concatenate([i for _, i in found]))
    return {"times": times}


def build(vectors, factory):
    x = matrix(vectors)
    index = faiss.index_factory(x.shape[1], factory)
    start = time.perf_counter()
    index.train(x)
    trained = time.perf_counter()
    index.add(x)
    return {"train": (trained - start) * 1e3, "encode": (time.perf_counter() - trained) * 1e3}


def kmeans(points, k, niter):
    x = matrix(points)
    clustering = faiss.Clustering(x.shape[1], k)
    clustering.niter = niter
    start = time.perf_counter()
    clustering.train(x, faiss.IndexFlatL2(x.shape[1]))
    seconds = time.perf_counter() - start
    stats = clustering.iteration_stats
    return {"times": [seconds * 1e3], "objective": [stats.at(i).obj for i in range(stats.size())]}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(globals()[request.pop("call")](**request)), flush=True)
