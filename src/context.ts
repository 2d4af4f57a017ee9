import { StrongroomError } from './errors.ts';
import { isWellFormed } from './crypto/encoding.ts';
import { checkPlainObject, invalidOption } from './options.ts';

/** What records are bound to beside their session id, for example `{ tenant }`. */
export type Context = Readonly<Record<string, string>>;

/**
 * A copy of a context: names and texts in well-formed Unicode. Anything else is refused, because a `Map` or an
 * instance of a class has no entries of its own and would be an empty context: tenants would read each other's
 * history.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`, without names or values.
 */
export function checkContext(where: string, value: unknown): Context {
  const rule = 'an object with string values';
  checkPlainObject(where, 'context', rule, value);
  const entries = Object.entries(value);
  const wrong = entries.find(([, entry]) => typeof entry !== 'string');
  if (wrong !== undefined) invalidOption(where, 'context', `${rule} only`, wrong[1]);
  refuseProxy(where, rule, value);
  if (!(entries as [string, string][]).flat().every(isWellFormed)) {
    invalidOption(where, 'context', `${rule} in well-formed Unicode (no unpaired surrogate)`, value);
  }
  if (entries.some(([name]) => name.startsWith('sr1/'))) {
    invalidOption(
      where,
      'context',
      `${rule} whose names do not begin with sr1/, which the format uses itself`,
      value,
    );
  }
  return Object.freeze(Object.fromEntries(entries as [string, string][]));
}

/** A proxy that has every name and lists none would be an empty context. Only `structuredClone` detects a proxy. */
function refuseProxy(where: string, rule: string, value: object): void {
  try {
    structuredClone(value);
  } catch {
    throw new StrongroomError(
      'ERR_INVALID_OPTION',
      `${where}: context must be ${rule}, a plain object; this is a Proxy. Pass a plain copy of it.`,
    );
  }
}
