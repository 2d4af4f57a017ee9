/**
 * How values are read, independent of the application's own type parsers: numbers, booleans and bytes; all other
 * types are text. All integers in our tables are exact as numbers.
 */
export const TYPES: { getTypeParser(oid: number): (text: string) => unknown } = {
  getTypeParser: (oid) => PARSERS.get(oid) ?? String,
};

/** By the object ids of the types: int8, int2, int4, oid, float4, float8; bool; bytea. */
const PARSERS = new Map<number, (text: string) => unknown>([
  ...[20, 21, 23, 26, 700, 701].map((oid) => [oid, Number] as const),
  [16, (text) => text === 't'],
  [17, bytesOf],
]);

/** Both forms of `bytea_output` (PostgreSQL manual, 8.4). */
function bytesOf(text: string): Uint8Array {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const bytes = text.replaceAll(/\\(\\|[0-7]{3})/g, (_, code: string) =>
    code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(bytes, 'latin1');
}
