import type * as jose from 'jose';
import { loadModule } from './load-module.ts';

/**
 * jose, loaded with the first data key that is wrapped or unwrapped: it was a quarter of the load time of
 * strongroom.
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
