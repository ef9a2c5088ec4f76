/** One thread of native faiss behind a pipe. */
export interface NativeFaiss {
  call(name: string, args?: Record<string, unknown>): Promise<Record<string, unknown>>;
  stop(): void;
}
export function startFaiss(): NativeFaiss | undefined;
