import { METRIC_L2 } from "../api.js";
import { BIASED, FactoredCode, UNBIASED } from "../codes/factored.js";
import type { FactoredKind } from "../codes/factored.js";
import { ProductCode } from "../codes/product.js";
import { ScalarCode } from "../codes/scalar.js";
import { factoredWire, ivfFactoredWire, readEden, readIvfFactored, readRabitq } from "./factored-files.js";
import { readIvfPqr } from "./ivf-pqr-files.js";
import { kind, KINDS } from "./kinds.js";
import type { Kind, Site } from "./kinds.js";
import { readIvfPanorama, readPanorama } from "./panorama-files.js";
import {
  ivfProductWire,
  ivfScalarWire,
  productWire,
  readIvfProduct,
  readIvfScalar,
  readProduct,
  readScalar,
  scalarWire,
} from "./row-files.js";
import { ivfSignBlocksWire, readIvfSignBlocks, readSignBlocks, signBlocksWire } from "./sign-files.js";
import { HnswNode } from "../graph/hnsw.js";
import { fail } from "../errors.js";
import { Coarse } from "../indexes/coarse.js";
import { describeTree } from "../indexes/describe.js";
import { IvfPqrNode } from "../indexes/ivf-pqr.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexTree } from "../indexes/tree.js";
import { MAX_BITS, ProductQuantizer } from "../quantizers/product.js";
import { ScalarQuantizer } from "../quantizers/scalar.js";
import { buildTransform } from "../transforms/build.js";
import type { Transform } from "../transforms/transform.js";
import { TransformedNode } from "../transforms/transformed.js";
import { checkKernels } from "../wasm/more.js";

type ProductTree = IndexTree & { kind: "pq" };
type FactoredTree = IndexTree & { kind: "rabitq" | "rabitqfs" | "eden" };

/** Bits that RaBitQfs rounds a query's components to. */
const FASTSCAN_QUERY_BITS = 8;

function productCode({ m, bits, polysemous }: ProductTree, site: Site, residual: boolean): ProductCode {
  const { engine, d, metric } = site;
  return new ProductCode(engine, metric, new ProductQuantizer(engine, d, m, bits), residual, polysemous);
}

function factoredCode(tree: FactoredTree, { engine, d, metric }: Site, inverted: boolean): FactoredCode {
  const { bits } = tree;
  const kind: FactoredKind =
    tree.kind === "eden"
      ? { name: "eden", bits, scale: tree.biased ? BIASED : UNBIASED }
      : tree.kind === "rabitq"
        ? { name: "rabitq", bits, queryBits: 0, bbs: 0 }
        : { name: "rabitq", bits, queryBits: FASTSCAN_QUERY_BITS, bbs: tree.bbs };
  return new FactoredCode(engine, d, metric, kind, inverted);
}

/** Of files only: they are read as the Flat that they are. */
const PANORAMA = "Panorama";

/** The kinds that the core has not. A new one is a row here, and whatever reads and makes it. */
const ROWS: readonly Kind[] = [
  {
    name: PANORAMA,
    fourccs: ["IxFP", "IxFp", "IwPn", "IwP2"],
    is: () => false,
    build: () => {
      throw new Error("a Panorama is made as the Flat that it is");
    },
    read: (reader, engine, fourcc, nested) =>
      fourcc.startsWith("Iw") ? readIvfPanorama(reader, engine, fourcc, nested) : readPanorama(reader, engine, fourcc),
  },
  kind("pq", {
    name: "PQ16",
    fourccs: ["IxPq", "IxPQ", "IxPo"],
    is: ({ bits }) => bits <= MAX_BITS,
    build(tree, site) {
      const code = productCode(tree, site, false);
      return new ListIndex(code, undefined, productWire(code));
    },
    read: (reader, engine, fourcc) => readProduct(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,PQ16",
    fourccs: ["IwPQ", "IvPQ"],
    is: ({ code }) => code.kind === "pq" && code.bits <= MAX_BITS,
    build({ coarse, nlist, code }, site) {
      const rows = productCode(code as ProductTree, site, true);
      return new ListIndex(rows, new Coarse(site.build(coarse), nlist), ivfProductWire(rows));
    },
    read: (reader, engine, fourcc, nested) => readIvfProduct(reader, engine, fourcc, nested),
  }),
  kind("ivf", {
    name: "IVF1024,PQ16+8",
    fourccs: ["IwQR", "IvQR"],
    is: ({ code }) => code.kind === "pqr" && code.bits <= MAX_BITS && code.finer.bits <= MAX_BITS,
    build({ coarse, nlist, code }, site) {
      const { m, bits, finer } = code as IndexTree & { kind: "pqr" };
      const { engine, d, metric } = site;
      if (metric !== METRIC_L2)
        fail(
          "ERR_FACTORY",
          `${describeTree(code)} is for L2, as in faiss: under inner product, make a Refine, as in IVF1024,PQ16,Refine(SQ8)`,
        );
      const rows = productCode({ kind: "pq", m, bits, polysemous: false }, site, true);
      const base = new ListIndex(rows, new Coarse(site.build(coarse), nlist), ivfProductWire(rows, "IwQR"));
      return new IvfPqrNode(base, new ProductQuantizer(engine, d, finer.m, finer.bits));
    },
    read: (reader, engine, fourcc, nested) => readIvfPqr(reader, engine, fourcc, nested),
  }),
  kind("sq", {
    name: "SQ8",
    fourccs: ["IxSQ"],
    build({ type }, { engine, d, metric }) {
      const code = new ScalarCode(engine, metric, new ScalarQuantizer(engine, d, type), false, false);
      return new ListIndex(code, undefined, scalarWire(code));
    },
    read: (reader, engine) => readScalar(reader, engine),
  }),
  kind("ivf", {
    name: "IVF1024,SQ8",
    fourccs: ["IwSq", "IwSQ", "IvSQ"],
    is: ({ code }) => code.kind === "sq",
    build({ coarse, nlist, code }, { engine, d, metric, build }) {
      const { type } = code as IndexTree & { kind: "sq" };
      const rows = new ScalarCode(engine, metric, new ScalarQuantizer(engine, d, type), true, true);
      return new ListIndex(rows, new Coarse(build(coarse), nlist), ivfScalarWire(rows));
    },
    read: (reader, engine, fourcc, nested) => readIvfScalar(reader, engine, fourcc, nested),
  }),
  kind("rabitq", {
    name: "RaBitQ",
    fourccs: ["Ixrq", "Ixrr"],
    build: (tree, site) => {
      const code = factoredCode(tree, site, false);
      return new ListIndex(code, undefined, factoredWire(code));
    },
    read: (reader, engine, fourcc) => readRabitq(reader, engine, fourcc),
  }),
  kind("rabitqfs", {
    name: "RaBitQfs",
    fourccs: ["Irfn", "Irfs"],
    build: (tree, site) => {
      const code = factoredCode(tree, site, false);
      return new ListIndex(code, undefined, signBlocksWire(code));
    },
    read: (reader, engine, fourcc) => readSignBlocks(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,RaBitQfs",
    fourccs: ["Iwrn", "Iwrf"],
    is: ({ code }) => code.kind === "rabitqfs",
    build({ coarse, nlist, code }, site) {
      const rows = factoredCode(code as FactoredTree, site, true);
      return new ListIndex(rows, new Coarse(site.build(coarse), nlist), ivfSignBlocksWire(rows));
    },
    read: (reader, engine, fourcc, nested) => readIvfSignBlocks(reader, engine, fourcc, nested),
  }),
  kind("eden", {
    name: "EDEN4",
    fourccs: ["IxEe", "IxEd"],
    build: (tree, site) => {
      const code = factoredCode(tree, site, false);
      return new ListIndex(code, undefined, factoredWire(code));
    },
    read: (reader, engine, fourcc) => readEden(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,RaBitQ",
    fourccs: ["Iwrq", "Iwrr", "IwEe", "IwEd"],
    is: ({ code }) => code.kind === "rabitq" || code.kind === "eden",
    build({ coarse, nlist, code }, site) {
      const rows = factoredCode(code as FactoredTree, site, true);
      return new ListIndex(rows, new Coarse(site.build(coarse), nlist), ivfFactoredWire(rows));
    },
    read: (reader, engine, fourcc, nested) => readIvfFactored(reader, engine, fourcc, nested),
  }),
  kind("hnsw", {
    name: "HNSW32",
    fourccs: ["IHNf", "IHNs", "IHNp"],
    is: ({ storage }) => ["flat", "sq", "pq"].includes(storage.kind),
    build: ({ m, storage }, { build }) => HnswNode.make(build(storage), m),
    read: (reader, engine, fourcc, nested) => HnswNode.read(reader, engine, fourcc, nested),
  }),
  kind("transform", {
    name: "PCA64,Flat",
    fourccs: ["IxPT"],
    build({ transforms, base }, { engine, d, build }) {
      const chain: Transform[] = [];
      let size = d;
      for (const tree of transforms) {
        const transform = buildTransform(tree, engine, size);
        size = transform.dout;
        chain.push(transform);
      }
      return new TransformedNode(chain, build(base, size));
    },
    read: (reader, engine, _fourcc, nested) => TransformedNode.read(reader, engine, nested),
  }),
];

/** The kinds that the core has not, each with its kernels there before it is read or made. */
export const MORE_KINDS: readonly Kind[] = ROWS.map((row) => ({
  ...row,
  build(tree, site) {
    checkKernels(site.engine);
    return row.build(tree, site);
  },
  async read(reader, engine, fourcc, nested) {
    checkKernels(engine);
    return row.read(reader, engine, fourcc, nested);
  },
}));

/** What there is, for a sentence: "Flat, IVF1024,Flat …". */
export function knownKinds(): string {
  const made = ROWS.filter(({ name }) => name !== PANORAMA);
  return [...KINDS, ...made].map(({ name }) => name).join(", ");
}
