import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import { Bytes, crc32, Section, wrong } from "./bytes.js";

// The beginning of a voice file, byte by byte in docs/voice-files.md: what is where, how long and how checked, before anything else.

/** The first four bytes, as the core's reader names what it finds: no text, so that a file is never taken for one. */
export const FOURCC = "\x89CEL";
/** The next four: bytes that transfers in text mode change. */
const GUARD = 0x1a0a0d56;
/** The version that is written, and the only one that is read. */
const VERSION = 1;
/** Bytes of what every head begins with, from the fourcc on. */
export const FIXED_BYTES = 72;
/** Bytes of a layer's record, and of the checksum at the end. */
const LAYER_BYTES = 28;
const CRC_BYTES = 4;

/** More dimensions would take a basis of gigabytes and its search hours. */
export const MAX_D = 4096;
export const MAX_LAYERS = 8;
/** Steps of a layer that one of the layer before can be. */
const MAX_RATIO = 63;

/** How ids are kept: not at all (they are the places of the rows), as gaps within a list, or as they are. */
export const IDS_NONE = 0;
export const IDS_GAPS = 1;
export const IDS_WIDE = 2;

/** A layer, as the head tells it. */
export interface LayerRecord {
  /** The width of its steps, for residuals of an rms of 1. */
  step: number;
  /** How many of them one of the layer before makes; 0 for the first. */
  ratio: number;
  /** Columns of the basis that have numbers. */
  width: number;
  /** Columns that share a model. */
  group: number;
  /** Bytes of the side section: models, and where lists stand. */
  sideBytes: number;
  sideCrc: number;
  /** Bytes of the lists. */
  dataBytes: number;
  dataCrc: number;
}

/** What the head of a file says. */
export interface Head {
  d: number;
  nlist: number;
  ntotal: number;
  nprobe: number;
  metric: Metric;
  /** One of IDS_…. */
  ids: number;
  /** Low bits of a gap between ids. */
  gapBits: number;
  /** What the rows of the basis beyond those of the first layer are drawn with. */
  seed: number;
  /** A power of two: by how much everything else is scaled. */
  unit: number;
  /** The step of the numbers of the basis. */
  basisStep: number;
  /** The step of centroids, as a multiple of the first layer's. */
  centroidStep: number;
  prefixBytes: number;
  prefixCrc: number;
  layers: LayerRecord[];
}

/** Bytes of the head of a file with so many layers. */
export function headBytes(layers: number): number {
  return FIXED_BYTES + layers * LAYER_BYTES + CRC_BYTES;
}

/** Where a layer begins in the file; for the number of layers, where the file ends. */
export function layerStart(head: Head, layer: number): number {
  let at = headBytes(head.layers.length) + head.prefixBytes;
  for (const { sideBytes, dataBytes } of head.layers.slice(0, layer)) at += sideBytes + dataBytes;
  return at;
}

/** Writes a head. */
export function writeHead(head: Head): Uint8Array {
  const bytes = new Bytes();
  for (let i = 0; i < 4; i++) bytes.u8(FOURCC.charCodeAt(i));
  bytes.u32(GUARD);
  bytes.u16(VERSION);
  bytes.u8(head.layers.length);
  bytes.u8(head.metric);
  bytes.u32(head.d);
  bytes.u32(head.nlist);
  bytes.u32(head.ntotal);
  bytes.u32(head.nprobe);
  bytes.u8(head.ids);
  bytes.u8(head.gapBits);
  bytes.u16(0);
  bytes.u32(head.seed);
  bytes.f32(head.unit);
  bytes.f32(head.basisStep);
  bytes.f32(head.centroidStep);
  const total = layerStart(head, head.layers.length);
  bytes.u32(total % 2 ** 32);
  bytes.u32(Math.floor(total / 2 ** 32));
  bytes.u32(head.prefixBytes);
  bytes.u32(head.prefixCrc);
  while (bytes.length < FIXED_BYTES) bytes.u8(0);
  for (const layer of head.layers) {
    bytes.f32(layer.step);
    bytes.u16(layer.ratio);
    bytes.u16(layer.width);
    bytes.u32(layer.group);
    bytes.u32(layer.sideBytes);
    bytes.u32(layer.sideCrc);
    bytes.u32(layer.dataBytes);
    bytes.u32(layer.dataCrc);
  }
  bytes.u32(crc32(bytes.written));
  return bytes.written.slice();
}

/** The layers that a head says it has, by its first {@link FIXED_BYTES} bytes: it has {@link headBytes} of them. */
export function countLayers(fixed: Uint8Array): number {
  const section = new Section("the head", fixed);
  for (let i = 0; i < 4; i++) {
    if (section.u8("fourcc") !== FOURCC.charCodeAt(i)) wrong("the head", "does not begin as one");
  }
  if (section.u32("guard") !== GUARD) wrong("the head", "has other line ends than it was written with");
  const version = section.u16("version");
  if (version !== VERSION) {
    fail("ERR_UNSUPPORTED", `the voice file has version ${version}, and ${VERSION} is read here: take a newer cellist`);
  }
  const layers = section.u8("layers");
  if (layers < 1 || layers > MAX_LAYERS) wrong("the head", `has ${layers} layers`);
  return layers;
}

/** Reads a head. ERR_FORMAT for sizes that can't be, ERR_UNSUPPORTED for another version. */
export function readHead(bytes: Uint8Array): Head {
  const count = countLayers(bytes);
  const size = headBytes(count);
  const section = new Section("the head", bytes.subarray(0, size));
  section.take("head", size);
  section.at = size - CRC_BYTES;
  if (section.u32("checksum") !== crc32(bytes.subarray(0, size - CRC_BYTES)))
    wrong("the head", "does not match its checksum");
  section.at = 11;
  const metric = section.u8("metric");
  const d = section.u32("d");
  const nlist = section.u32("nlist");
  const ntotal = section.u32("ntotal");
  const nprobe = section.u32("nprobe");
  const ids = section.u8("ids");
  const gapBits = section.u8("gap bits");
  section.take("reserved", 2);
  const seed = section.u32("seed");
  const unit = section.f32("unit");
  const basisStep = section.f32("basis step");
  const centroidStep = section.f32("centroid step");
  const total = section.u32("length") + section.u32("length") * 2 ** 32;
  const prefixBytes = section.u32("prefix");
  const prefixCrc = section.u32("prefix");
  section.at = FIXED_BYTES;
  const layers = Array.from({ length: count }, (): LayerRecord => ({
    step: section.f32("step"),
    ratio: section.u16("ratio"),
    width: section.u16("width"),
    group: section.u32("group"),
    sideBytes: section.u32("side"),
    sideCrc: section.u32("side"),
    dataBytes: section.u32("data"),
    dataCrc: section.u32("data"),
  }));
  const head: Head = {
    d,
    nlist,
    ntotal,
    nprobe,
    metric: metric === METRIC_INNER_PRODUCT ? METRIC_INNER_PRODUCT : METRIC_L2,
    ids,
    gapBits,
    seed,
    unit,
    basisStep,
    centroidStep,
    prefixBytes,
    prefixCrc,
    layers,
  };
  const check = (fine: boolean, field: string, value: number): void => {
    if (!fine) wrong("the head", `has ${field} = ${value}`);
  };
  const positive = (value: number): boolean => value > 0 && Number.isFinite(value);
  check(metric === head.metric, "metric", metric);
  check(d >= 1 && d <= MAX_D, "d", d);
  // A list's size is a byte of the prefix at least, and a row's scale a bit of the first layer.
  check(nlist >= 1 && nlist <= prefixBytes, "nlist", nlist);
  check(ntotal <= 0x7fffffff, "ntotal", ntotal);
  check(nprobe >= 1 && nprobe <= 0x7fffffff, "nprobe", nprobe);
  check(ids <= IDS_WIDE, "ids", ids);
  check(gapBits <= 31, "gap bits", gapBits);
  check(positive(unit) && Number.isInteger(Math.abs(unit) >= 1 ? unit : 1 / unit), "unit", unit);
  check(positive(basisStep), "basis step", basisStep);
  check(positive(centroidStep), "centroid step", centroidStep);
  check(total === layerStart(head, count), "length", total);
  layers.forEach(({ step, ratio, width, group, dataBytes }, i) => {
    const before = i === 0 ? undefined : layers[i - 1];
    check(positive(step), "step", step);
    check(before === undefined ? ratio === 0 : ratio >= 2 && ratio <= MAX_RATIO, "ratio", ratio);
    // Rows of the basis come eight by eight.
    check(width >= (before?.width ?? 1) && width <= d && (width % 8 === 0 || width === d), "width", width);
    check(group >= 1 && group <= d, "group", group);
    check(dataBytes < 2 ** 31, "data", dataBytes);
  });
  return head;
}
