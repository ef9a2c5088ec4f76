#!/usr/bin/env bash
# faiss' PCA gives vectors back without the part of the mean that its components leave out.
#
# Version: faiss 1.7.3 as Debian 12 packages it (python3-faiss 1.7.3-2+b1), Python 3.11; the source of 1.15 does the same.
# Behaviour: a PCA subtracts the mean and projects, y = A (x - m), and stores that as y = A x + b with b = -A m. Going back
#   (reverse_transform, and so reconstruct of a "PCA2,Flat") takes b off again and gives A' (y - b) = A' A x: what the components leave out
#   of m is lost, where A' y + m would keep it. Vectors that lie within 0.01 of a plane at height 5 come back at height 0.
# Why it matters: who reconstructs from a PCA index to re-rank, to blend or to show is off by a constant that may be most of the vector;
#   a reader of such files must choose between faiss' answer and the better one, and the mean is in the file (field mean) for the latter.
# Output: height 5.0, given back 0.0, with the mean 5.0
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
apt-get download python3-faiss=1.7.3-2+b1 python3-numpy libopenblas0-pthread libgfortran5 libquadmath0 libgomp1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
libraries="$PWD/usr/lib/$(uname -m)-linux-gnu"
cat >run.py <<'PY'
import faiss
import numpy as np

random = np.random.RandomState(1)
x = random.rand(1000, 3).astype("float32")
x[:, 2] = 5 + 0.01 * (x[:, 2] - 0.5)
index = faiss.index_factory(3, "PCA2,Flat")
index.train(x)
index.add(x)
back = index.reconstruct(7)
pca = faiss.downcast_VectorTransform(index.chain.at(0))
matrix = faiss.vector_to_array(pca.A).reshape(2, 3)
mean = faiss.vector_to_array(pca.mean)
better = pca.apply(x[7:8])[0] @ matrix + mean
print(f"height {x[7, 2]:.1f}, given back {abs(back[2]):.1f}, with the mean {better[2]:.1f}")
PY
seen="$(LD_LIBRARY_PATH="$libraries:$libraries/openblas-pthread" PYTHONPATH="$PWD/usr/lib/python3/dist-packages" /usr/bin/python3 -W ignore run.py)"
echo "$seen"
[ "$seen" = "height 5.0, given back 0.0, with the mean 5.0" ]
