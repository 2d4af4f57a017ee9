import { invalidOption } from '../../options.ts';

/**
 * Checks the name of a database file. A URI is refused: SQLite would apply its parameters, and the rights would be
 * set on another file.
 *
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 */
export function checkPath(where: string, path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    invalidOption(where, 'path', "the name of a file, or ':memory:'", path);
  }
  if (/^file:/i.test(path)) {
    invalidOption(where, 'path', "the name of a file, or ':memory:', but not a file: URI", path);
  }
}
