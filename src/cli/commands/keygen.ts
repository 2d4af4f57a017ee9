import type { JWK } from 'jose';
import { toBase64url } from '../../crypto/encoding.ts';
import { randomBytes } from '../../crypto/random.ts';
import { generateKey, GENERATED_ALGORITHMS, type GenerateKeyOptions } from '../../keys/generate-key.ts';
import { loadJose } from '../../load-jose.ts';
import type { Define } from '../command.ts';
import { CommandError } from '../exit-codes.ts';
import { newFile, type NewFile } from '../new-file.ts';

interface KeygenOptions {
  readonly out?: string;
  readonly stdout?: true;
  readonly alg?: GenerateKeyOptions['alg'];
  readonly receipt?: true;
  readonly publicOut?: string;
}

export function registerKeygen(define: Define): void {
  define(
    'keygen',
    'make a key, into a file that only its owner can read',
    async (context, options) => {
      const { out, stdout, receipt, publicOut } = options as KeygenOptions;
      if ((out === undefined) === (stdout === undefined)) {
        throw new CommandError('USAGE', 'keygen: give --out <file>, or --stdout to print the secret key.');
      }
      const key = await makeKey(options);
      const half = publicHalf(key);
      if (publicOut !== undefined && half === undefined) {
        throw new CommandError(
          'USAGE',
          `keygen: a key for ${key.alg} has no public half. Leave out --public-out.`,
        );
      }
      writeKeys([
        ...(out === undefined ? [] : [{ file: out, key, mode: 0o600 }]),
        ...(publicOut === undefined || half === undefined
          ? []
          : [{ file: publicOut, key: half, mode: 0o644 }]),
      ]);
      const { kid = '', alg = '' } = key;
      if (out === undefined) {
        // The key alone, so that it can be passed on: strongroom keygen --stdout | secret-store put …
        process.stdout.write(`${JSON.stringify(key)}\n`);
        return;
      }
      const members = { kid, alg, file: out, ...(publicOut !== undefined && { publicFile: publicOut }) };
      context.output.line('key', members, `Wrote the key ${kid} (${alg}) to ${out}.`);
      context.output.hint(
        receipt === undefined
          ? 'Keep a copy in a secret store: without this key nothing that is sealed with it can be read.'
          : 'Everybody with this key can sign receipts. Give its public half (--public-out) to those who check them.',
      );
    },
    { configured: false },
  )
    .option('--out <file>', 'the new file for the key (mode 0600)')
    .option('--stdout', 'print the secret key instead')
    .option(
      '--alg <name>',
      'A256KW, A256GCMKW, ECDH-ES+A256KW or RSA-OAEP-256; with --receipt EdDSA, ES256 or PS256',
    )
    .option('--receipt', 'a key that signs receipts of erasures, and not one that encrypts')
    .option(
      '--public-out <file>',
      'a new file for the public half: for writers that cannot read, and for verifiers of receipts',
    );
}

async function makeKey({ receipt, alg }: KeygenOptions): Promise<JWK> {
  if (receipt === undefined) {
    if (alg !== undefined && !GENERATED_ALGORITHMS.includes(alg)) {
      throw new CommandError('USAGE', `keygen: --alg must be one of ${GENERATED_ALGORITHMS.join(', ')}.`);
    }
    return generateKey(alg === undefined ? {} : { alg });
  }
  const name: string = alg ?? 'EdDSA';
  if (!RECEIPT_ALGORITHMS.includes(name)) {
    throw new CommandError(
      'USAGE',
      `keygen: --alg must be one of ${RECEIPT_ALGORITHMS.join(', ')} with --receipt.`,
    );
  }
  const { exportJWK, generateKeyPair } = await loadJose();
  const pair = await generateKeyPair(name, { crv: 'Ed25519', modulusLength: 3_072, extractable: true });
  return { ...(await exportJWK(pair.privateKey)), alg: name, kid: toBase64url(randomBytes(12)) };
}

const RECEIPT_ALGORITHMS = ['EdDSA', 'ES256', 'PS256'];

/** `undefined` for a symmetric key. */
function publicHalf(key: JWK): JWK | undefined {
  if (key.kty === 'oct') return undefined;
  const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...half } = key;
  return half;
}

/** All of them or none. Refuses a file that exists: it may be the only copy of another key. */
export function writeKeys(
  keys: readonly { readonly file: string; readonly key: JWK; readonly mode: number }[],
): void {
  const files: NewFile[] = [];
  try {
    for (const { file, mode } of keys) files.push(newFile(file, mode));
    for (const [index, { key }] of keys.entries()) files[index]?.write(`${JSON.stringify(key)}\n`);
  } catch (error) {
    for (const file of files) file.remove();
    throw error;
  }
}
