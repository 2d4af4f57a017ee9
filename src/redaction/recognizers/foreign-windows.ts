import { late } from '../late.ts';
import { FOREIGN_NAMES, variantsOf } from './foreign-names.ts';

/** This many adjacent code units of a name beyond ASCII are looked for at once; of a shorter name two. */
const LONG = 4;
const SHORT = 2;

/**
 * The windows of all names are looked for as one (Baeza-Yates and Gonnet, "A new approach to text searching"): for each
 * code unit `state = ((state << 1) | WINDOW_STARTS) & places`, where `places` are those of {@link windowPlaces}.
 */
export const WINDOW_STARTS: number = 1 | (1 << LONG);
/** A window may end where the state has one of these: letters of different names can match, too. */
export const WINDOW_ENDS: number = (1 << (LONG - 1)) | (1 << (LONG + SHORT - 1));

/**
 * For each code unit of the names the places, as bits below 256, at which it stands in a window; those of short windows
 * stand behind those of long ones.
 */
export function windowPlaces(): ReadonlyMap<number, number> {
  const places = new Map<number, number>();
  for (const window of FOREIGN_NAMES.map(windowOf)) {
    const offset = window.length === LONG ? 0 : LONG;
    for (const [place, unit] of Array.from(window).entries()) {
      for (const variant of variantsOf(unit)) {
        const code = variant.charCodeAt(0);
        places.set(code, (places.get(code) ?? 0) | (1 << (offset + place)));
      }
    }
  }
  return places;
}

const HASHES = 1 << 14;
const hashes = late(() => hashesOf(FOREIGN_NAMES.map(hashedOf).flatMap(spellings)));

/** Whether the window of a name ends at `end`, or one of the few with its hash. */
export function endsWindow(text: string, end: number): boolean {
  const isForeign = (place: number): boolean => text.charCodeAt(place) > 0x7f;
  // Letters of ASCII that stand in different windows.
  if (!isForeign(end - 1) && !isForeign(end - 2) && !isForeign(end - LONG)) return false;
  const known = hashes();
  return known[hashOf(text, end - LONG, end)] === 1 || known[hashOf(text, end - SHORT, end)] === 1;
}

function hashesOf(names: readonly string[]): Uint8Array {
  const made = new Uint8Array(HASHES);
  for (const name of names) made[hashOf(name, 0, name.length)] = 1;
  return made;
}

function hashOf(text: string, start: number, end: number): number {
  let hash = end - start;
  for (let index = Math.max(0, start); index < end; index++) {
    hash = (Math.imul(hash, 33) + text.charCodeAt(index)) & (HASHES - 1);
  }
  return hash;
}

/**
 * Code units of each match with the first one beyond ASCII: the first in a long window, so that text in ASCII hardly ever
 * begins one.
 */
function windowOf(name: string): string {
  const foreign = placeOfForeign(name);
  if (name.length - foreign >= LONG) return name.slice(foreign, foreign + LONG);
  const end = endOfShort(name);
  return name.slice(end - SHORT, end);
}

/** The code units that decide at the end of its window: of a short one, also those before it. */
function hashedOf(name: string): string {
  const window = windowOf(name);
  const end = endOfShort(name);
  return window.length === LONG || end < LONG ? window : name.slice(end - LONG, end);
}

function endOfShort(name: string): number {
  return Math.min(name.length, placeOfForeign(name) + SHORT);
}

function placeOfForeign(name: string): number {
  return name.search(/[^\0-\x7f]/);
}

function spellings(units: string): readonly string[] {
  return Array.from(units, variantsOf).reduce<readonly string[]>(
    (begun, variants) => begun.flatMap((text) => Array.from(variants, (unit) => text + unit)),
    [''],
  );
}
