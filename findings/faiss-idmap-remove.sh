#!/usr/bin/env bash
# faiss' remove_ids on an IDMap over an IVF leaves an index that returns other vectors' ids.
#
# Version: faiss 1.7.3 as Debian 12 packages it (python3-faiss 1.7.3-2+b1), Python 3.11.
# Behaviour: ten vectors at 0, 1, … 9 get the ids 100 … 109 in an IDMap around IVF1,Flat; 100 and 101 are removed. The vector at 5 is
#   searched: its id is 105. The answer has the right distance, 0, and the id 107: the map of ids closed its gaps, and the lists of an IVF
#   keep the numbers from before. The file it writes holds the same, and opens. The same calls on an IDMap around Flat answer 105.
# Why it matters: a file that somebody cleaned in Python opens anywhere without an error and is wrong by as many places as were removed
#   before each vector. The right id can still be told: the k-th smallest number in the lists belongs to the k-th id of the map.
# Output: IVF1,Flat 107 0.0; Flat 105 0.0
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
apt-get download python3-faiss=1.7.3-2+b1 python3-numpy libopenblas0-pthread libgfortran5 libquadmath0 libgomp1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" .; done
libraries="$PWD/usr/lib/$(uname -m)-linux-gnu"
cat >run.py <<'PY'
import faiss, numpy as np
answers = []
for description in ("IVF1,Flat", "Flat"):
    vectors = np.arange(10, dtype="float32").reshape(10, 1)
    index = faiss.IndexIDMap(faiss.index_factory(1, description))
    index.train(vectors)
    index.add_with_ids(vectors, np.arange(100, 110))
    index.remove_ids(np.array([100, 101]))
    distances, ids = index.search(vectors[5:6], 1)
    answers.append(f"{description} {ids[0, 0]} {distances[0, 0]}")
print("; ".join(answers))
PY
seen="$(LD_LIBRARY_PATH="$libraries:$libraries/openblas-pthread" PYTHONPATH="$PWD/usr/lib/python3/dist-packages" /usr/bin/python3 -W ignore run.py)"
echo "$seen"
[ "$seen" = "IVF1,Flat 107 0.0; Flat 105 0.0" ]
