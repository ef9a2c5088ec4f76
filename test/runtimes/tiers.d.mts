/** What V8 is told, to compile otherwise. */
export const TIERS: string[][];
