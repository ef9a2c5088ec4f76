import type { Metric } from "../api.js";
import { FloatCode } from "../codes/float.js";
import { BIASED, FactoredCode, UNBIASED } from "../codes/factored.js";
import { PackedPqCode } from "../codes/packed-pq.js";
import { ProductCode } from "../codes/product.js";
import { ScalarCode } from "../codes/scalar.js";
import type { Reader } from "../format/reader.js";
import { HnswNode } from "../graph/hnsw.js";
import { Coarse } from "../indexes/coarse.js";
import { IdMapNode } from "../indexes/id-map.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode, NodeReader } from "../indexes/node.js";
import { RefineNode } from "../indexes/refine.js";
import type { IndexTree } from "../indexes/tree.js";
import { PackedLayout } from "../lists/layout.js";
import { buildTransform } from "../transforms/build.js";
import type { Transform } from "../transforms/transform.js";
import { TransformedNode } from "../transforms/transformed.js";
import { MAX_BITS, ProductQuantizer } from "../quantizers/product.js";
import { ScalarQuantizer } from "../quantizers/scalar.js";
import type { Engine } from "../wasm/engine.js";
import { flatFourcc, flatWire, ivfFlatWire, readFlat, readIvfFlat } from "./float-files.js";
import { factoredWire, ivfFactoredWire, readEden, readIvfFactored, readRabitq } from "./factored-files.js";
import { readIvfPanorama, readPanorama } from "./panorama-files.js";
import { ivfPackedWire, packedWire, readIvfPacked, readPacked } from "./packed-files.js";
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

/** What an index is built in: `build` makes the indexes that it wraps. */
export interface Site {
  engine: Engine;
  d: number;
  metric: Metric;
  readonly build: (tree: IndexTree, d?: number) => IndexNode;
}

/** One kind of index: what it is called, how a description and a file ask for it, how it is made. */
export interface Kind {
  /** As a description writes it, for sentences that say what there is. */
  readonly name: string;
  /** What files of it begin with. */
  readonly fourccs: readonly string[];
  /** Whether a tree asks for it, the parts that it wraps left aside. */
  is(tree: IndexTree): boolean;
  /** Makes an empty index of a tree that {@link is} said yes to. */
  build(tree: IndexTree, site: Site): IndexNode;
  /** Reads what follows the fourcc. `nested` reads an index from its fourcc on. */
  read(reader: Reader, engine: Engine, fourcc: string, nested: NodeReader): Promise<IndexNode>;
}

/** A kind whose trees all have one `kind`: the functions are given them as what they are. */
function kind<K extends IndexTree["kind"], T extends IndexTree & { kind: K }>(
  of: K,
  row: Omit<Kind, "is" | "build"> & { is?(tree: T): boolean; build(tree: T, site: Site): IndexNode },
): Kind {
  return {
    ...row,
    is: (tree) => tree.kind === of && (row.is?.(tree as T) ?? true),
    build: (tree, site) => row.build(tree as T, site),
  };
}

type PackedTree = IndexTree & { kind: "pqfs" };
type ProductTree = IndexTree & { kind: "pq" };
type FactoredTree = IndexTree & { kind: "rabitq" | "eden" };

/** Indexes that number their vectors as they come. */
const NUMBERED: ReadonlySet<IndexTree["kind"]> = new Set(["flat", "sq", "pq", "pqfs", "rabitq", "eden"]);

function productCode({ m, bits, polysemous }: ProductTree, site: Site, residual: boolean): ProductCode {
  const { engine, d, metric } = site;
  return new ProductCode(engine, metric, new ProductQuantizer(engine, d, m, bits), residual, polysemous);
}

function factoredCode(tree: FactoredTree, { engine, d, metric }: Site, inverted: boolean): FactoredCode {
  const { bits } = tree;
  const kind =
    tree.kind === "rabitq"
      ? ({ name: "rabitq", bits, queryBits: 0 } as const)
      : ({ name: "eden", bits, scale: tree.biased ? BIASED : UNBIASED } as const);
  return new FactoredCode(engine, d, metric, kind, inverted);
}

function packedCode({ m, bbs, residual }: PackedTree, { engine, d, metric }: Site): PackedPqCode {
  return new PackedPqCode(engine, metric, new ProductQuantizer(engine, d, m, 4), new PackedLayout(m, bbs), residual);
}

/**
 * The one table of what cellist has: the factory, the reader and the sentences of both look here. A new kind of index is a row, and
 * whatever reads and makes it.
 */
export const KINDS: readonly Kind[] = [
  kind("flat", {
    name: "Flat",
    fourccs: ["IxF2", "IxFI", "IxFl", "IxFP", "IxFp"],
    build: (_tree, { engine, d, metric }) =>
      new ListIndex(new FloatCode(engine, d, metric), undefined, flatWire(flatFourcc(metric))),
    read: (reader, engine, fourcc) =>
      fourcc.toLowerCase() === "ixfp" ? readPanorama(reader, engine, fourcc) : readFlat(reader, engine, fourcc),
  }),
  kind("ivf", {
    name: "IVF1024,Flat",
    fourccs: ["IwFl", "IvFl", "IvFL", "IwPn", "IwP2"],
    is: ({ code }) => code.kind === "flat",
    build: ({ coarse, nlist }, { engine, d, metric, build }) =>
      new ListIndex(new FloatCode(engine, d, metric), new Coarse(build(coarse), nlist), ivfFlatWire),
    read: (reader, engine, fourcc, nested) =>
      fourcc.startsWith("IwP")
        ? readIvfPanorama(reader, engine, fourcc, nested)
        : readIvfFlat(reader, engine, fourcc, nested),
  }),
  kind("pqfs", {
    name: "PQ16x4fs",
    fourccs: ["IPfs"],
    build(tree, site) {
      const code = packedCode(tree, site);
      return new ListIndex(code, undefined, packedWire(code));
    },
    read: (reader, engine) => readPacked(reader, engine),
  }),
  kind("ivf", {
    name: "IVF1024,PQ16x4fs",
    fourccs: ["IwPf"],
    is: ({ code }) => code.kind === "pqfs",
    build({ coarse, nlist, code }, site) {
      const packed = packedCode(code as PackedTree, site);
      return new ListIndex(packed, new Coarse(site.build(coarse), nlist), ivfPackedWire(packed));
    },
    read: (reader, engine, _fourcc, nested) => readIvfPacked(reader, engine, nested),
  }),
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
  kind("refine", {
    name: "Flat,RFlat",
    fourccs: ["IxRF"],
    // What re-ranks must number its vectors as they come.
    is: ({ refine }) => NUMBERED.has(refine.kind),
    build: ({ base, refine }, { build }) => new RefineNode(build(base), build(refine)),
    read: (reader, engine, _fourcc, nested) => RefineNode.read(reader, engine, nested),
  }),
  kind("idmap", {
    name: "IDMap,Flat",
    fourccs: ["IxMp", "IxM2"],
    build: ({ base, two }, { build }) => new IdMapNode(build(base), two),
    read: (reader, engine, fourcc, nested) => IdMapNode.read(reader, engine, fourcc === "IxM2", nested),
  }),
];

/** The indexes that a tree wraps. */
export function partsOf(tree: IndexTree): readonly IndexTree[] {
  switch (tree.kind) {
    case "ivf":
      return [tree.coarse];
    case "hnsw":
      return [tree.storage];
    case "idmap":
    case "transform":
      return [tree.base];
    case "refine":
      return [tree.base, tree.refine];
    default:
      return [];
  }
}

/** What there is, for a sentence: "Flat, IVF1024,Flat …". */
export function knownKinds(): string {
  return KINDS.map(({ name }) => name).join(", ");
}
