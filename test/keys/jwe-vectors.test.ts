import { aeskw } from '@noble/ciphers/aes.js';
import { compactDecrypt, type JWK } from 'jose';
import { expect, it } from 'vitest';
import { hex, sharedVectors, type Group } from '../crypto/vectors.ts';

interface JweTest {
  tcId: number;
  jwe: string;
  pt?: string;
  result: 'valid' | 'invalid';
}
interface WrapTest {
  tcId: number;
  key: string;
  msg: string;
  ct: string;
  result: 'valid' | 'invalid' | 'acceptable';
}

const jwe = sharedVectors('json_web_encryption_test.json') as
  { testGroups: (Group<JweTest> & { private: JWK })[] } | undefined;
const wrap = sharedVectors('aes_wrap_test.json') as { testGroups: Group<WrapTest>[] } | undefined;

it.skipIf(jwe === undefined)(
  'with the algorithm of the key pinned, jose agrees with the JWE vectors of Wycheproof',
  async () => {
    const removed: number[] = [];
    const wrong: number[] = [];
    let tests = 0;
    for (const group of jwe?.testGroups ?? []) {
      // A key whose alg is a content encryption is used directly.
      const alg = (group.private.alg as string).replace(/^A\d+GCM$/, 'dir');
      for (const test of group.tests) {
        tests++;
        let opened: string | undefined;
        try {
          const { plaintext } = await compactDecrypt(test.jwe, group.private, {
            keyManagementAlgorithms: [alg],
          });
          opened = Buffer.from(plaintext).toString('hex');
        } catch {
          opened = undefined;
        }
        const expected = test.result === 'valid' ? test.pt : undefined;
        if (opened !== expected) (alg === 'RSA1_5' ? removed : wrong).push(test.tcId);
      }
    }
    expect(tests).toBe(139);
    expect(wrong).toEqual([]);
    // Known exceptions: jose removed RSA1_5, rightly.
    expect(removed).toHaveLength(8);
  },
);

it.skipIf(wrap === undefined)('AES key wrap agrees with the vectors of Wycheproof', () => {
  const tests = (wrap?.testGroups ?? []).flatMap((group) => group.tests);
  const wrong = tests.filter((test) => {
    let opened: string | undefined;
    try {
      opened = Buffer.from(aeskw(hex(test.key)).decrypt(hex(test.ct))).toString('hex');
    } catch {
      opened = undefined;
    }
    return opened !== (test.result === 'valid' ? test.msg : undefined);
  });
  expect(tests).toHaveLength(165);
  expect(wrong.filter((test) => test.result !== 'acceptable')).toEqual([]);
});
