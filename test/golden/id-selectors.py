"""What faiss finds where an IDSelector leaves some vectors out: writes id-selectors.json, answers of the golden files for
test/id-selectors.test.ts. /usr/bin/python3 id-selectors.py > id-selectors.json (faiss 1.7.3, OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1)."""

import json
from pathlib import Path

import faiss
import numpy as np

HERE = Path(__file__).parent
K = 8
NQ = 8
# Queries of range searches: the fifth is zero, and finds hundreds.
IN_RANGE = [1, 2, 3, 6]

manifest = {case["name"]: case for case in json.loads((HERE / "manifest.json").read_text())["cases"]}
# Files, their kinds in faiss 1.7.3, whether it has a range search for them, and how many cells are looked into.
FILES = [
    ("flat_l2", True, [0]),
    ("flat_ip", True, [0]),
    ("flat_removed", True, [0]),
    ("sq8_l2", False, [0]),
    ("sq8_ip", False, [0]),
    ("ivf_flat_l2", True, [1, 4, 32]),
    ("ivf_flat_ip", True, [1, 4, 32]),
    ("ivf_flat_custom_ids", True, [4]),
    ("ivf_flat_removed", True, [32]),
    ("ivf_sq8_l2", True, [4]),
    ("ivf_sq8_ip", True, [4]),
    ("ivf_pq16x8_l2", True, [4]),
    ("l2norm_ivf_flat_l2", False, [4]),
]


def selectors(ids):
    """Descriptions for the test, and what faiss makes of them. ids: all that are in the index."""
    low, high = int(ids[len(ids) // 5]), int(ids[len(ids) // 2])
    some = [int(i) for i in ids[3::97]] + [-5, 10**6]
    tenth = [int(i) for i in ids[::10]]
    span = lambda a, b: faiss.IDSelectorRange(a, b)
    batch = faiss.IDSelectorBatch
    yield {"range": [low, high]}, span(low, high)
    yield {"ids": some}, batch(some)
    yield {"ids": tenth}, faiss.IDSelectorArray(tenth)
    yield {"not": {"ids": tenth}}, faiss.IDSelectorNot(batch(tenth))
    yield {"not": {"range": [low, high]}}, faiss.IDSelectorNot(span(low, high))
    # And and Or came with 1.8: what they mean, as sets.
    inside, chosen = {int(i) for i in ids if low <= i < high}, set(tenth)
    yield {"and": [{"range": [low, high]}, {"ids": tenth}]}, batch(sorted(inside & chosen))
    yield {"or": [{"range": [low, high]}, {"ids": tenth}]}, batch(sorted(inside | chosen))
    yield {"ids": []}, batch([])


def parameters(index, nprobe, selector):
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(
            index_params=parameters(faiss.downcast_index(index.index), nprobe, selector)
        )
    if isinstance(index, faiss.IndexIVFPQ):
        return faiss.IVFPQSearchParameters(sel=selector, nprobe=nprobe)
    if nprobe > 0:
        return faiss.SearchParametersIVF(sel=selector, nprobe=nprobe)
    return faiss.SearchParameters(sel=selector)


def ids_of(index):
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    if not isinstance(inner, faiss.IndexIVF):
        return np.arange(index.ntotal)
    lists = inner.invlists
    return np.sort(
        np.concatenate([faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy() for i in range(inner.nlist)])
    )


def numbers(array):
    return [float(f"{x:.9g}") for x in array.ravel()]


answers = []
for name, ranges, probes in FILES:
    index = faiss.read_index(str(HERE / manifest[name]["file"]))
    queries = np.load(HERE / manifest[name]["queries"])[:NQ]
    for nprobe in probes:
        for which, selector in selectors(ids_of(index)):
            how = parameters(index, nprobe, selector)
            D, I = index.search(queries, K, params=how)
            answer = {"file": name, "nprobe": nprobe, "which": which, "D": numbers(D), "I": I.ravel().tolist()}
            if ranges and nprobe in (0, 4):
                # Halfway between the fifth and the sixth distance of a query, so that no rounding decides.
                finite = I[1] >= 0
                radius = float(np.float32((D[1, 4] + D[1, 5]) / 2)) if finite[:6].all() else float(D[1, 0]) + 1
                lims, DR, IR = index.range_search(queries[IN_RANGE], radius, params=how)
                order = np.concatenate(
                    [
                        a + np.argsort(DR[a:b] if index.metric_type == faiss.METRIC_L2 else -DR[a:b], kind="stable")
                        for a, b in zip(lims[:-1].astype(int), lims[1:].astype(int))
                    ]
                ).astype(int)
                answer["range"] = {"radius": radius, "lims": lims.tolist(), "D": numbers(DR[order]), "I": IR[order].tolist()}
            answers.append(answer)

print("[")
print(",\n".join(json.dumps(answer, separators=(",", ":")) for answer in answers))
print("]")
