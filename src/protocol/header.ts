import type { Header } from '../layer.ts';

/** Whether two headers say the same. */
export function sameFields(one: Header, other: Header): boolean {
  if (one === other) return true;
  let count = 0;
  for (const field in one) {
    if (one[field as `x-${string}`] !== other[field as `x-${string}`]) return false;
    count++;
  }
  for (const _ in other) count--;
  return count === 0;
}
