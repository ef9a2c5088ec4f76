/**
 * Takes a lock that the runtime gives to others when this thread ends, however that may be (Web Locks).
 *
 * @returns its name, and what lets go of it; undefined where there are no locks
 */
export async function holdLock(): Promise<{ name: string; release: () => void } | undefined> {
  const locks = globalThis.navigator?.locks;
  if (locks === undefined) return undefined;
  const name = `cellist ${Math.random()} ${Math.random()}`;
  return new Promise((resolve) => {
    const held = async (): Promise<void> => new Promise<void>((release) => resolve({ name, release }));
    // Refused to pages without an origin.
    locks.request(name, held).catch(() => resolve(undefined));
  });
}

/** Waits for a lock that another thread holds for as long as it lives; a signal ends the waiting. */
export function awaitLock(name: string, signal: AbortSignal, ended: () => void): void {
  navigator.locks.request(name, { signal }, ended).catch(() => undefined);
}
