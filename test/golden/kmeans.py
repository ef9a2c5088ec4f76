"""What faiss' k-means makes of vectors that test/kmeans-faiss.test.ts makes again: writes kmeans.json, objectives and checksums of
centroids. /usr/bin/python3 kmeans.py > kmeans.json (faiss 1.7.3, OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1)."""

import json
import sys

import faiss
import numpy as np

D = 256
CASES = [
    # name, rows, centroids, hidden clusters, spherical
    ("IVF200", 8000, 200, 150, False),
    ("IVF200, inner product", 8000, 200, 150, True),
    ("IVF2564", 6000, 2564, 2000, False),
    ("more than 256 rows a centroid", 6000, 20, 60, False),
]


def rows_of(n, clusters):
    random = np.random.RandomState(7)
    centers = random.random_sample(clusters * D).reshape(clusters, D)
    which = (random.random_sample(n) * clusters).astype(int)
    noise = random.random_sample(n * D).reshape(n, D)
    return (centers[which] + noise * 0.5 - 0.75).astype("float32")


def checksum(array):
    h = 0x811C9DC5
    for byte in array.tobytes():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{h:08x}"


found = []
for name, n, k, clusters, spherical in CASES:
    x = rows_of(n, clusters)
    c = faiss.Clustering(D, k)
    c.niter, c.spherical, c.min_points_per_centroid = 10, spherical, 1
    c.train(x, faiss.IndexFlatIP(D) if spherical else faiss.IndexFlatL2(D))
    centroids = faiss.vector_to_array(c.centroids)
    stats = [c.iteration_stats.at(i) for i in range(c.iteration_stats.size())]
    if len(sys.argv) > 1:
        centroids.tofile(f"{sys.argv[1]}/{len(found)}.f32")
    found.append(
        dict(name=name, n=n, k=k, clusters=clusters, spherical=spherical, checksum=checksum(centroids),
             objective=[s.obj for s in stats], split=[s.nsplit for s in stats])
    )
json.dump(found, sys.stdout, indent=1)
