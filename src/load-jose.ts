import type * as jose from 'jose';
import { loadModule } from './load-module.ts';

/**
 * What wraps and unwraps data keys, loaded with the first of them: a quarter of the time that loading strongroom took.
 *
 * @throws {@link StrongroomError} `ERR_LOAD`.
 */
export function loadJose(): Promise<typeof jose> {
  return loadModule(
    'jose',
    () => import('jose'),
    'The package jose is not installed, although strongroom depends on it. Install strongroom anew: npm install strongroom',
  );
}
