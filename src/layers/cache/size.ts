import { recordKey } from '../../protocol/envelope.ts';
import { partsOf } from '../../protocol/sealed-record.ts';
import { isMarked, type Known } from './known.ts';

// Bytes of the heap of Node.js, as measured: 8 for each value of an object or a list.
const OBJECT = 24;
const LIST = 48;
const NUMBER = 16;
const TEXT = 24;
const BYTES = 192;
/** An entry with its places in lists, its header, and the mark of its record. */
const ENTRY = 320;
/** Size of a kept record without its bytes or its text. */
const RECORD = 256;
/**
 * The engine keeps data about an object of the last two reads as long as the object, and a frozen object stays in
 * the cache.
 */
const FROZEN = 96;

/** The names and ids of an item: looking for wide characters would take longer than their bytes are worth. */
const SHORT_TEXT = 24;
const IS_WIDE = /[^\0-\u00ff]/;

/** The size of a kept record: an estimate a little above the measured one. */
export function sizeOf(known: Known): number {
  const record = isMarked(known) ? 0 : RECORD + sizeOfRecord(known);
  const { item } = known;
  if (item === undefined) return ENTRY + record;
  return ENTRY + record + sizeOfValue(item) + (Object.isFrozen(item) ? FROZEN : 0);
}

function sizeOfRecord({ stored }: Known): number {
  const parts = partsOf(stored);
  return parts === undefined ? recordKey(stored).length : parts.body.length + (parts.wrapped?.length ?? 0);
}

function isWide(text: string): boolean {
  return text.length <= SHORT_TEXT || IS_WIDE.test(text);
}

function sizeOfValue(value: unknown): number {
  if (typeof value === 'string') return TEXT + value.length * (isWide(value) ? 2 : 1);
  if (typeof value === 'number') return NUMBER;
  if (typeof value !== 'object' || value === null) return 0;
  if (value instanceof Uint8Array) return BYTES + value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, child) => sum + 8 + sizeOfValue(child), LIST);
  let size = OBJECT;
  // Plain data: it inherits nothing that is enumerable. A list of the values would take as long as the sum.
  for (const key in value) size += 8 + sizeOfValue((value as Record<string, unknown>)[key]);
  return size;
}
