import { existsSync, readFileSync } from 'node:fs';

// The public vectors are read where they lie; a chosen few stand in test/vectors/, so that the project stands alone.
const FOLDER = new URL('../../../shared/vectors/', import.meta.url);

/** A test group of Project Wycheproof. */
export interface Group<Test> {
  readonly ivSize: number;
  readonly keySize: number;
  readonly tagSize: number;
  readonly tests: readonly Test[];
}

/** A test of an authenticated cipher of Project Wycheproof; binary fields in hexadecimal. */
export interface AeadTest {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

/** The parsed file, or `undefined` where the shared folder is absent: loud here, a failure in CI. */
export function sharedVectors(name: string): unknown {
  const file = new URL(name, FOLDER);
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  const message = `The shared test vectors ${name} are absent.`;
  if (process.env['CI'] !== undefined) throw new Error(message);
  console.warn(`SKIPPED: ${message}`);
  return undefined;
}

export function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}
