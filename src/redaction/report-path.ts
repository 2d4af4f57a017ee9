import { boundedMap } from '../bounded-map.ts';
import { CLUE } from './clues.ts';
import { BUILT_IN_RECOGNIZERS } from './entities.ts';
import { lookAt } from './look.ts';
import type { Path } from './path.ts';

const SHOWN_SEGMENTS = 24;
const PLAIN_KEY = /^[A-Za-z_$][\w$-]{0,63}$/;
/** Names of fields have few digits, ids and tokens have many, or some in several places. */
const MANY_DIGITS = /(?:\d\D*){6}|\d\D+\d\D+\d/;
const NONE: ReadonlySet<string> = new Set();
/** Keys that paths have shown. Items have the same ones again and again, and each find has a path. */
const names = boundedMap<true>(256);

/**
 * `content[0].text`. At most 24 segments. A key that can be a value is `*`: one that is no identifier, that has many
 * digits, or in which something is found.
 *
 * @param found Keys in which the recognizers in use find something.
 */
export function formatPath(path: Path | undefined, found: ReadonlySet<string> = NONE): string {
  const parts: string[] = [];
  let place = path;
  for (; place !== undefined && parts.length < SHOWN_SEGMENTS; place = place.above) {
    const { segment } = place;
    if (typeof segment === 'number') parts.push(`[${segment}]`);
    else {
      const shown = !found.has(segment) && isName(segment) ? segment : '*';
      parts.push(`${place.above === undefined ? '' : '.'}${shown}`);
    }
  }
  if (place !== undefined) parts.push('…');
  return parts.reverse().join('');
}

function isName(key: string): boolean {
  if (names.get(key) === true) return true;
  const isOne = looksLikeName(key);
  if (isOne) names.set(key, true);
  return isOne;
}

/** Checked for all entities that are built in: a report must not hold what an item may. */
function looksLikeName(key: string): boolean {
  if (!PLAIN_KEY.test(key) || MANY_DIGITS.test(key)) return false;
  const { view, clues } = lookAt(key);
  const seen = clues.seen | CLUE.always;
  const context = { itemType: '', path: '', isKey: true } as const;
  return !BUILT_IN_RECOGNIZERS.some(
    (recognizer) =>
      (seen & recognizer.clues) !== 0 && recognizer.analyze(view.text, context, clues).length > 0,
  );
}
