/** Distinguishes a process from a copy of its memory: a forked process, or a machine started from a snapshot. */
export interface MemoryImage {
  readonly pid: number | undefined;
  /** Difference of the two clocks of a process; it jumps when memory is restored later than it was saved. */
  readonly offset: number;
}

/** More than the difference of two clock readings, and less than the restore of a snapshot takes. */
const JUMP = 1_000;

export function memoryImage(): MemoryImage {
  const host = (globalThis as { process?: { pid?: number } }).process;
  return { pid: host?.pid, offset: Date.now() - performance.now() };
}

export function sameImage(one: MemoryImage, other: MemoryImage): boolean {
  return one.pid === other.pid && Math.abs(one.offset - other.offset) < JUMP;
}
