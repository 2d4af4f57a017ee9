/**
 * Takes positions by key, each once and the first of a key first. Searching all remaining ones for each item would
 * be quadratic in the length of a history.
 *
 * @param keys Of all positions, in order.
 */
export function unusedPositions(keys: readonly string[]): (key: string) => number | undefined {
  const byKey = new Map<string, { readonly positions: number[]; next: number }>();
  for (const [position, key] of keys.entries()) {
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, { positions: [position], next: 0 });
    else known.positions.push(position);
  }
  return (key) => {
    const left = byKey.get(key);
    return left?.positions[left.next++];
  };
}
