"""Queries of ivf_pq4fsr_l2.index at which the order in which faiss makes the tables of residuals decides on a rounding step, and faiss' answers:
writes residual-tables.json for test/fastscan-residuals.test.ts. /usr/bin/python3 residual-tables.py > residual-tables.json (faiss 1.7.3,
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1)."""

import json
from pathlib import Path

import faiss
import numpy as np

HERE = Path(__file__).parent
# Found by comparing 18,000 queries with tables that were made of residuals, |x - c - r|^2, in one step.
QUERIES = [274,823,2075,3133,4381,4495,4767,5023,7331,9243,9671,10427,11756,12321,12431,12522,12898,13043,14598,16262]

index = faiss.read_index(str(HERE / "ivf_pq4fsr_l2.index"))
base = np.load(HERE / "base.npy")
random = np.random.RandomState(5)
near = base[random.randint(0, len(base), 15000)] + random.randn(15000, 64).astype("f4") * 2
far = random.randn(3000, 64).astype("f4") * base.std()
queries = np.concatenate([near, far]).astype("f4")
answers = []
for nprobe in (1, 4):
    index.nprobe = nprobe
    # One at a time: faiss compares many queries with the cells in another way, which rounds otherwise.
    found = [index.search(queries[i : i + 1], 8) for i in QUERIES]
    D, I = (np.concatenate(part) for part in zip(*found))
    answers.append({"nprobe": nprobe, "D": [float(f"{x:.9g}") for x in D.ravel()], "I": I.ravel().tolist()})
print(json.dumps({"queries": [float(f"{x:.9g}") for x in queries[QUERIES].ravel()], "answers": answers}, separators=(",", ":")))
