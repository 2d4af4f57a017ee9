import { LETTER } from './late.ts';

/** Keys of a member that names the value beside it, the specific ones first: `{"name": "SSN", "value": "…"}`. */
const NAME_KEYS = [
  'name',
  'key',
  'label',
  'field',
  'title',
  'question',
  'property',
  'header',
  'column',
  'param',
  'parameter',
  'variable',
  'system',
  'code',
  'id',
  'kind',
  'type',
];
const RANKS: ReadonlyMap<string, number> = new Map(NAME_KEYS.map((key, rank) => [key, rank]));
const VALUE_KEYS: ReadonlySet<string> = new Set([
  'value',
  'values',
  'val',
  'answer',
  'stringvalue',
  'valuestring',
]);
const LONGEST_NAME = 64;

/** Whether a member of this key holds what another member names. */
export function isValueKey(key: string | undefined): boolean {
  return key !== undefined && VALUE_KEYS.has(key.toLowerCase());
}

/** The rank of a member that names the value beside it, 0 best; `undefined` when it is not a name. */
export function rankOfName(key: string | undefined, text: string): number | undefined {
  if (key === undefined || text.length > LONGEST_NAME || !LETTER().test(text)) return undefined;
  return RANKS.get(key.toLowerCase());
}

/** The name that the other members of an object give to its value. */
export function nameIn(members: object): string | undefined {
  let best: string | undefined;
  let bestRank = NAME_KEYS.length;
  for (const [key, member] of Object.entries(members)) {
    const rank = typeof member === 'string' ? rankOfName(key, member) : undefined;
    if (rank === undefined || rank >= bestRank) continue;
    bestRank = rank;
    best = member as string;
  }
  return best;
}
