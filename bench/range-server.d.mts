/** What is to go wrong with a request. */
export interface Fault {
  status?: number;
  headers?: Record<string, string>;
  cut?: number;
  short?: number;
  shift?: number;
  etag?: string;
  ranges?: false;
  gzip?: true;
  hang?: true;
}
export interface RangeServer {
  url: string;
  served: { requests: number; bytes: number; ranges: [number, number][] };
  close(): Promise<void>;
}
export function serveRanges(
  bytes: Uint8Array,
  options?: {
    mbit?: number;
    delay?: number;
    behave?: (request: { from: number; to: number; number: number; ranged: boolean }) => Fault | undefined;
  },
): Promise<RangeServer>;
