import { readFileSync } from 'node:fs';
import type { JWK } from 'jose';
import type { Header } from '../../src/layer.ts';

/** One sealed vector; `dek` and `nonce` in hexadecimal. */
export interface SealedVector {
  readonly name: string;
  readonly sessionId: string;
  readonly context: Readonly<Record<string, string>>;
  readonly kek: string;
  readonly dek: string;
  readonly header: Header & { readonly s: 'XC20P' | 'XAES-256-GCM'; readonly d: string };
  readonly operationId: string;
  readonly index: number;
  readonly nonce: string;
  readonly json: string;
  readonly wrapped: string;
  readonly envelope: string;
}

/** The vectors of the format, written by tools/sr1-vectors.ts. */
export interface Vectors {
  readonly keks: readonly [JWK, JWK];
  readonly sealed: readonly [SealedVector, ...SealedVector[]];
  readonly clear: {
    readonly operationId: string;
    readonly index: number;
    readonly json: string;
    readonly envelope: string;
  };
}

export const VECTORS: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/sr1.json', import.meta.url), 'utf8'),
) as Vectors;
