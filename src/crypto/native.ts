import type * as nodeModule from 'node:crypto';

/** The type of `node:crypto`. */
export type NodeCrypto = typeof nodeModule;

interface ProcessLike {
  getBuiltinModule?(name: string): unknown;
}

/**
 * `node:crypto` on runtimes that have it, `undefined` elsewhere. Not imported: an import would fail on runtimes
 * without it, and bundlers for them would refuse it.
 */
export const nodeCrypto: NodeCrypto | undefined = (
  globalThis as { process?: ProcessLike }
).process?.getBuiltinModule?.('node:crypto') as NodeCrypto | undefined;
