import type * as agents from '@openai/agents';
import { loadSdk } from '../load-sdk.ts';

/**
 * The SDK as `loadSdk()` loads it, and its CommonJS build where the application has loaded that: each keeps data about its
 * own tools.
 *
 * @throws {@link StrongroomError} `ERR_LOAD`.
 */
export async function loadedSdks(): Promise<readonly (typeof agents)[]> {
  const sdk = await loadSdk();
  const required = requiredSdk();
  return required === undefined ? [sdk] : [sdk, required];
}

interface Require {
  resolve(name: string): string;
  readonly cache: Readonly<Record<string, { readonly exports: unknown } | undefined>>;
}

/** Only what is loaded already: another copy of the SDK costs time and memory. */
function requiredSdk(): typeof agents | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  const module = process?.getBuiltinModule?.('node:module') as
    { createRequire(from: string): Require } | undefined;
  if (module === undefined) return undefined;
  try {
    const require = module.createRequire(import.meta.url);
    return require.cache[require.resolve('@openai/agents')]?.exports as typeof agents | undefined;
  } catch {
    // A bundle has no packages to resolve, and other runtimes than Node have no cache.
    return undefined;
  }
}
