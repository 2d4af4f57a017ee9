/**
 * How often the expensive operations ran in this process. Only tests and benchmarks read it. Not part of the public
 * interface.
 */
export const counters: { seals: number; opens: number; wraps: number; unwraps: number } = {
  seals: 0,
  opens: 0,
  wraps: 0,
  unwraps: 0,
};
