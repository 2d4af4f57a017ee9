import { late } from '../late.ts';
import { FOREIGN_NAME_ENDS } from './secret-names.ts';

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
 * For each code unit of the names the places, as bits below 256, at which it stands in a window; those of short names
 * stand behind those of long ones.
 */
export function windowPlaces(): ReadonlyMap<number, number> {
  const places = new Map<number, number>();
  for (const window of windows()) {
    const offset = window.length === LONG ? 0 : LONG;
    for (const [place, units] of window.entries()) {
      for (const unit of units) {
        const code = unit.charCodeAt(0);
        places.set(code, (places.get(code) ?? 0) | (1 << (offset + place)));
      }
    }
  }
  return places;
}

const HASHES = 1 << 14;
const hashes = late(() => hashesOf(windows().flatMap(spellings)));

/** Whether the window of a name ends at `end`, or one of the few with its hash. */
export function endsWindow(text: string, end: number): boolean {
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

/** For each name, adjacent code units of every match, with the first one beyond ASCII; each with its variants. */
function windows(): readonly (readonly string[])[] {
  return FOREIGN_NAME_ENDS.here.source.split('|').map(windowOf);
}

function windowOf(name: string): readonly string[] {
  const units: string[] = [];
  for (const [, list, unit, optional] of name.matchAll(/(?:\[([^\]]+)\]|([^]))(\??)/g)) {
    if (optional === '?') break;
    units.push(list ?? (unit as string));
  }
  const foreign = units.findIndex((variants) => variants > '\x7f');
  const start = Math.max(0, Math.min(foreign, units.length - LONG));
  return units.slice(start, start + (units.length < LONG ? SHORT : LONG));
}

function spellings(window: readonly string[]): readonly string[] {
  return window.reduce<readonly string[]>(
    (begun, variants) => begun.flatMap((text) => Array.from(variants, (unit) => text + unit)),
    [''],
  );
}
