import { existsSync, readFileSync } from "node:fs";

/** A search that faiss made, and where its answer is. */
export interface GoldenSearch {
  tag: string;
  nprobe: number | null;
  k_factor: number | null;
  k: number;
  D: string;
  I: string;
}

/** A file that faiss wrote. */
export interface GoldenCase {
  name: string;
  factory: string;
  metric: "L2" | "IP";
  d: number;
  ntotal: number;
  is_trained: boolean;
  file: string;
  queries: string;
  searches: GoldenSearch[];
}

/** The files in the repository, all below 1 MB. */
export const goldenFolder = new URL("golden/", import.meta.url);
/** What developers have beside the repository: larger files and real voices. Tests of it are left out where it is not. */
export const shared = new URL("../../shared/", import.meta.url);
export const hasShared: boolean = existsSync(shared);

export function goldenCases(folder: URL): GoldenCase[] {
  return (JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8")) as { cases: GoldenCase[] }).cases;
}
