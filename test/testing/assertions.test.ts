import { MemorySession } from '@openai/agents';
import { describe, expect, test } from 'vitest';
import { toBase64, toBase64url, utf8 } from '../../src/crypto/encoding.ts';
import { assertNoPlaintext, assertSealed, sampleItems } from '../../src/testing/index.ts';
import { userMessage } from '../../src/testing/session-contract.ts';

describe('assertNoPlaintext', () => {
  const secret = 'The secret is 4471-9902-1180 and nothing else.';

  test.each([
    ['as it is', `noise ${secret} noise`],
    ['a run of 12 characters of it', `~~~${secret.slice(9, 21)}~~~`],
    ['Base64, first alignment', `"${toBase64(utf8(secret))}"`],
    ['Base64, second alignment', `"${toBase64(utf8(`x${secret}`))}"`],
    ['Base64, third alignment', `"${toBase64(utf8(`xy${secret}`))}"`],
    ['base64url, behind other Base64 characters', `sr1.abc${toBase64url(utf8(`xyz${secret}`))}`],
    ['the last 12 bytes, at the end of a Base64 run', `.${toBase64url(utf8(`x${secret.slice(-12)}`))}`],
  ])('finds text %s', (_, stored) => {
    expect(() => assertNoPlaintext(stored, [{ note: 'short' }, secret])).toThrow(
      /^Plaintext in the store: .*, at byte \d+ of that reading, from input 1\.$/,
    );
    expect(() => assertNoPlaintext(utf8(stored), [secret])).toThrow('Plaintext in the store');
  });

  test('finds what JSON escapes, and keys', () => {
    expect(() => assertNoPlaintext('{"text":"one line\\nand another"}', ['one line\nand another'])).toThrow(
      'from input 0',
    );
    expect(() => assertNoPlaintext('{"customerNumber":1}', [{ customerNumber: 77 }])).toThrow('from input 0');
  });

  test('does not quote the text', () => {
    expect(() => assertNoPlaintext(secret, [secret])).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('4471') as string }) as Error,
    );
  });

  test('accepts what is shorter than 12 characters or in other text', () => {
    for (const stored of [
      'a completely different text that is long enough',
      `~~~${secret.slice(9, 20)}~~~`,
      toBase64(utf8(secret)).split('').reverse().join(''),
    ]) {
      expect(() => assertNoPlaintext(stored, [secret])).not.toThrow();
    }
  });

  test('accepts what the control holds too', () => {
    const stored = '{"type":"function_call_result","x":1}';
    expect(() => assertNoPlaintext(stored, ['function_call_result'])).toThrow('from input 0');
    assertNoPlaintext(stored, ['function_call_result'], { control: '{"type":"function_call_result","x":2}' });
    expect(() =>
      assertNoPlaintext(`${stored}${secret}`, ['function_call_result', secret], { control: stored }),
    ).toThrow('from input 1');
  });

  test('refuses to prove nothing', () => {
    expect(() => assertNoPlaintext('anything', ['short'])).toThrow('needs inputs of at least 12 bytes');
  });
});

describe('assertSealed', () => {
  const sealed = (header: object): ReturnType<typeof userMessage> =>
    userMessage(`sr1.${toBase64url(utf8(JSON.stringify(header)))}.AAAA`);

  test('accepts sealed records, with ids of a backend too', async () => {
    const initialItems = [
      sealed({ s: 'XC20P', d: 'x', t: 1 }),
      { ...sealed({ s: 'XC20P', d: 'y' }), id: 'msg_1' },
    ];
    await expect(assertSealed(new MemorySession({ initialItems }))).resolves.toBeUndefined();
  });

  test.each([
    ['it is not a user message', { type: 'message', role: 'system', content: 'x' } as const],
    ['it has no single text', userMessageWithText('plain')],
    ['its text is not an envelope', userMessage('plain')],
    ['its header cannot be read', userMessage('sr1.!.x')],
    ['its header names no suite', sealed({ s: 'none' })],
    ['its header names no data key', sealed({ s: 'XC20P' })],
    ['it has further fields (providerData)', { ...sealed({ s: 'XC20P', d: 'x' }), providerData: { a: 1 } }],
  ])('refuses a record when %s', async (reason, record) => {
    const session = new MemorySession({ initialItems: [sealed({ s: 'XC20P', d: 'x' }), record] });
    await expect(assertSealed(session)).rejects.toThrow(`Record 1 of 2 is not sealed: ${reason}.`);
  });

  test('refuses every sample item, and an empty session unless that is expected', async () => {
    for (const item of sampleItems()) {
      await expect(assertSealed(new MemorySession({ initialItems: [item] }))).rejects.toThrow(
        'is not sealed',
      );
    }
    await expect(assertSealed(new MemorySession())).rejects.toThrow('nothing is proved');
    await assertSealed(new MemorySession(), { empty: true });
  });

  function userMessageWithText(content: string): ReturnType<typeof userMessage> {
    return { role: 'user', content };
  }
});
