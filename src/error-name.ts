import { isStrongroomError } from './errors.ts';

/**
 * The code of a strongroom error, else the name of the error's class, for records that must not hold content;
 * `undefined` for anything that does not look like a name: an error of another library may have any value in its
 * fields.
 */
export function errorName(error: unknown): string | undefined {
  try {
    const name = isStrongroomError(error) ? error.code : (error as Error).name;
    if (error instanceof Error && /^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(name)) return name;
  } catch {
    // The value has no fields, or one of them throws.
  }
  return undefined;
}
