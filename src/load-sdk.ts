import type * as agents from '@openai/agents';
import { loadModule } from './load-module.ts';

/**
 * The SDK, loaded at the first use of its functions: loading it takes many times as long as loading strongroom.
 *
 * @throws {@link StrongroomError} `ERR_LOAD`.
 */
export function loadSdk(): Promise<typeof agents> {
  return loadModule(
    '@openai/agents',
    () => import('@openai/agents'),
    'The package @openai/agents is not installed. Install it: npm install @openai/agents',
  );
}
