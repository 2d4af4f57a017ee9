import { StrongroomError } from '../../errors.ts';
import { invalidOption, parseCount } from '../../options.ts';
import type { PasswordProvider } from '../credentials.ts';

/** The options that are for a URL: how connections are made and who shares them. Documented at each store. */
export interface UrlOptions {
  readonly maxConnections?: number;
  readonly password?: PasswordProvider;
  readonly sharePool?: boolean;
  readonly poolKey?: string;
}

export const URL_OPTIONS = ['maxConnections', 'password', 'sharePool', 'poolKey'] as const;

/** @throws {@link StrongroomError} `ERR_INVALID_OPTION` when one is given. */
export function refuseUrlOptions(where: string, options: UrlOptions): void {
  const given = URL_OPTIONS.find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw new StrongroomError(
    'ERR_INVALID_OPTION',
    `${where}: the option ${given} is for a URL; a pool has its own settings. Remove the option.`,
  );
}

/**
 * @returns The most connections, and the key of the pool (see {@link sharedPool}).
 * @throws {@link StrongroomError} `ERR_INVALID_OPTION`.
 */
export function checkUrlOptions(
  where: string,
  options: UrlOptions,
  url: string,
  timeout: number,
): { readonly max: number; readonly key: readonly (string | number)[] | undefined } {
  const { maxConnections = 10, password, sharePool = true, poolKey = '' } = options;
  const max = parseCount(where, 'maxConnections', maxConnections);
  if (password !== undefined && typeof password !== 'function') {
    invalidOption(where, 'password', 'a function that returns the password', password);
  }
  if (typeof sharePool !== 'boolean') invalidOption(where, 'sharePool', 'true or false', sharePool);
  if (typeof poolKey !== 'string') invalidOption(where, 'poolKey', 'text', poolKey);
  return { max, key: sharePool ? [where, url, max, timeout, poolKey] : undefined };
}
