/** A statement whose values are bound in the order of its question marks. */
export interface ByPosition {
  readonly sql: string;
  /** Which value each question mark takes; `undefined` when it is the one at its own position. */
  readonly order: readonly number[] | undefined;
}

/**
 * The same statement without numbered parameters: Node.js before 22.20 binds `?`, but not `?1`, which it takes for a name
 * ("column index out of range"). A `?` counts on from the highest number before it (SQLite, "Parameters").
 */
export function byPosition(sql: string): ByPosition {
  const order: number[] = [];
  let highest = 0;
  const plain = sql.replace(/\?(\d*)/g, (_, digits: string) => {
    const number = digits === '' ? highest + 1 : Number(digits);
    highest = Math.max(highest, number);
    order.push(number - 1);
    return '?';
  });
  const isPlain = order.every((value, position) => value === position);
  return { sql: plain, order: isPlain ? undefined : order };
}
