import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

// A value that touches letters of another script is still the value: many languages write without spaces, others put
// endings on anything. Latin letters and digits make it a part of something else.

const redactor = createRedactor({ countries: ['AU', 'DE', 'ES', 'GB', 'IN', 'IT', 'PL', 'US'] });

/** A word before and a word after a value, without a space. */
const SCRIPTS: Readonly<Record<string, readonly [before: string, after: string]>> = {
  Han: ['号码是', '请处理谢谢'],
  Hiragana: ['これは', 'です'],
  Katakana: ['データ', 'デス'],
  Hangul: ['번호는', '입니다'],
  Thai: ['หมายเลข', 'ครับ'],
  Lao: ['ເລກ', 'ແລ້ວ'],
  Khmer: ['លេខ', 'បាន'],
  Burmese: ['နံပါတ်', 'ပါ'],
  Arabic: ['رقم', 'هو'],
  Hebrew: ['מספר', 'של'],
  Cyrillic: ['номер', 'готов'],
  'Cyrillic with a mark': ['мои\u0306', 'и\u0306'],
  Greek: ['αριθμός', 'είναι'],
  Devanagari: ['नंबर', 'है'],
  Tamil: ['எண்', 'ஆகும்'],
  Georgian: ['ნომერი', 'არის'],
  Armenian: ['համար', 'է'],
  Ethiopic: ['ቁጥር', 'ነው'],
};

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U';
const VALUES: readonly (readonly [entity: string, value: string])[] = [
  ['CREDIT_CARD', '4111111111111111'],
  ['CREDIT_CARD', '4111-1111-1111-1111'],
  ['IBAN_CODE', 'DE89370400440532013000'],
  ['IBAN_CODE', 'GB29 NWBK 6016 1331 9268 19'],
  ['IP_ADDRESS', '203.0.113.77'],
  ['IP_ADDRESS', '2001:db8:85a3::8a2e:370:7334'],
  ['IP_ADDRESS', 'fe80::1%eth0'],
  ['MAC_ADDRESS', '00:1B:44:11:3A:B7'],
  ['MAC_ADDRESS', '00-1B-44-11-3A-B7'],
  ['MAC_ADDRESS', '001b.4411.3ab7'],
  ['PHONE_NUMBER', '+8613800138000'],
  ['PHONE_NUMBER', '+82 10-1234-5678'],
  ['PHONE_NUMBER', '(415) 555-2671'],
  ['PHONE_NUMBER', '010-1234-5678'],
  ['US_SSN', '536-90-4399'],
  ['CRYPTO', '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2'],
  ['CRYPTO', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'],
  ['CRYPTO', '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
  ['EMAIL_ADDRESS', 'jane.roe@acme.com'],
  ['EMAIL_ADDRESS', '123456@qq.com'],
  ['API_KEY', 'ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'],
  ['JWT', jwt],
  ['ES_NIF', '12345678Z'],
  ['IT_FISCAL_CODE', 'RSSMRA85T10A562S'],
  ['UK_NINO', 'AB123456C'],
];

describe.each(Object.entries(SCRIPTS))('beside letters of another script: %s', (script, [before, after]) => {
  test.each(VALUES)('%s %s', async (entity, value) => {
    for (const [left, right] of [
      [before, ''],
      ['', after],
      [before, after],
      [`${before}：`, after],
      [`${before}（`, '）'],
    ] as const) {
      const found = (await redactor.analyze(left + value + right)).filter(
        (find) => find.entityType === entity,
      );
      const shown = found.map(({ start, end }) => (left + value + right).slice(start, end));
      // An address of digits may begin with letters of a script that has spaces: then the label goes with it.
      const isRight =
        shown.length === 1 && (value === '123456@qq.com' ? shown[0]?.endsWith(value) : shown[0] === value);
      expect({ script, shown, isRight }).toEqual({ script, shown, isRight: true });
    }
  });
});

describe('digits of every script that the runtime knows, also beyond the Basic Multilingual Plane', () => {
  const systems = Intl.supportedValuesOf('numberingSystem').flatMap((system) => {
    const write = (digit: string): string =>
      new Intl.NumberFormat(`en-u-nu-${system}`).format(Number(digit)).normalize('NFC');
    const isDecimal = Array.from('0123456789', write).every((digit) => /^\p{Nd}$/u.test(digit));
    return isDecimal ? [[system, (text: string) => text.replaceAll(/\d/g, write)] as const] : [];
  });

  test('there are some fifty', () => expect(systems.length).toBeGreaterThan(50));

  test.each(systems)('%s', async (_system, write) => {
    for (const [text, expected] of [
      ['paid with 4111 1111 1111 1111 today', 'paid with <CREDIT_CARD> today'],
      ['call +49 1512 3456780 now', 'call <PHONE_NUMBER> now'],
      ['from 203.0.113.77', 'from <IP_ADDRESS>'],
      ['SSN 536-90-4399', 'SSN <US_SSN>'],
    ] as const)
      expect(await redactor.redactText(write(text))).toBe(expected);
  });
});

describe('letters with their marks apart are read like composed ones', () => {
  test.each([
    ['사용자@예시.한국', '<EMAIL_ADDRESS>'],
    ['josé@ejemplo.es', '<EMAIL_ADDRESS>'],
    ['だいご@例え.jp', '<EMAIL_ADDRESS>'],
    ['user@παράδειγμα.ελ', '<EMAIL_ADDRESS>'],
    ['téléphone : 01 23 45', 'téléphone : <PHONE_NUMBER>'],
    ['전화번호 5551234567', '전화번호 <PHONE_NUMBER>'],
    ['điện thoại: 5551234567', 'điện thoại: <PHONE_NUMBER>'],
    ['ﾊﾟｽﾜｰﾄﾞ：Tr0ub4dor3', 'ﾊﾟｽﾜｰﾄﾞ：<PASSWORD>'],
    ['mật khẩu: Tr0ub4dor3 ấy', 'mật khẩu: <PASSWORD> ấy'],
    ['{"téléphone":"012345"}', '{"téléphone":"<PHONE_NUMBER>"}'],
  ])('%s', async (text, expected) => {
    expect(await redactor.redactText(text)).toBe(expected);
    expect(await redactor.redactText(text.normalize('NFD'))).toBe(expected.normalize('NFD'));
  });

  test('and the rest of the text stays as it was', async () => {
    const text = 'é ê ậ ガ 한 \u0301 x\u0338 jane@acme.com é ậ'.normalize('NFD');
    expect(await redactor.redactText(text)).toBe(text.replace('jane@acme.com', '<EMAIL_ADDRESS>'));
  });

  test('a stroke through a separator does not hide it', async () => {
    expect(await redactor.redactText('password=\u0338Tr0ub4dor3')).not.toContain('Tr0ub4dor3');
  });
});

describe('a letter that Japanese scripts share is one of each', () => {
  test.each([
    ['ユーザー@example.jp', '<EMAIL_ADDRESS>'],
    ['ミーちゃん@example.jp', '<EMAIL_ADDRESS>'],
    ['こゝろ@example.jp', '<EMAIL_ADDRESS>'],
    ['佐々木@例え.jp', '<EMAIL_ADDRESS>'],
    ['ﾕｰｻﾞｰ@example.jp', '<EMAIL_ADDRESS>'],
    ['マネージャーjane@acme.com', 'マネージャー<EMAIL_ADDRESS>'],
    ['電話ナンバー5551234567', '電話ナンバー<PHONE_NUMBER>'],
    ['電話。5551234567', '電話。5551234567'],
  ])('%s', async (text, expected) => expect(await redactor.redactText(text)).toBe(expected));
});

describe('adjacent Latin letters and digits, with any marks, make a value a part of a longer word', () => {
  test.each(['a', 'é', 'e\u0301', 'ß', 'ł', 'Ｘ', '𝐱', '_', '7', '７', '٧', '७'])('%s', async (joined) => {
    for (const [entity, value] of [
      ['CREDIT_CARD', '4111111111111111'],
      ['IBAN_CODE', 'DE89370400440532013000'],
      ['IP_ADDRESS', '2001:db8:85a3::8a2e:370:7334'],
      ['MAC_ADDRESS', '00:1B:44:11:3A:B7'],
      ['US_SSN', '536-90-4399'],
      ['CRYPTO', '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2'],
      ['PHONE_NUMBER', '415-555-2671'],
    ] as const) {
      for (const text of [joined + value, value + joined]) {
        // Groups of IPv6 are as long as they like, up to four digits, and `x2001:` can be a label.
        if (entity === 'IP_ADDRESS' && (text.startsWith(joined) || /^[\p{Nd}a]$/u.test(joined))) continue;
        const found = await redactor.analyze(text);
        expect({ text, found }).toEqual({ text, found: [] });
      }
    }
  });
});

describe('a sign beside a value is no part of it, though its compatibility form is a letter or a digit', () => {
  const SIGNS = '①②⑳➀²³¹₁½⑴⒈№™㏍ⓘⒶ㊞℃ⅣⅧºª'.split('');
  test.each(VALUES)('%s %s', async (entity, value) => {
    for (const sign of SIGNS) {
      // A sign of the order follows its word: `nº`.
      const isOrder = 'ºª'.includes(sign);
      // A letter of a name to a mail server: the mark is replaced with the address.
      if (isOrder && entity === 'EMAIL_ADDRESS') continue;
      for (const [left, right] of isOrder
        ? [[`n${sign}`, '']]
        : [
            [sign, ''],
            ['', sign],
            [`カード${sign}`, `${sign}。`],
          ]) {
        const text = `${left as string}${value}${right as string}`;
        const found = (await redactor.analyze(text)).filter((find) => find.entityType === entity);
        const shown = found.map(({ start, end }) => text.slice(start, end));
        expect({ text, shown }).toEqual({ text, shown: [value] });
      }
    }
  });

  test.each([
    ['карта №4111111111111111', 'карта №<CREDIT_CARD>'],
    ['℡4155552671', '℡<PHONE_NUMBER>'],
    ['SSN ①078051120', 'SSN ①<US_SSN>'],
    ['连系人①+8613800138000②jane@acme.com', '连系人①<PHONE_NUMBER>②<EMAIL_ADDRESS>'],
    ['①192.168.1.1、②10.0.0.7', '①<IP_ADDRESS>、②<IP_ADDRESS>'],
    ['4111111111111111² and jane@acme.com¹', '<CREDIT_CARD>² and <EMAIL_ADDRESS>¹'],
  ])('%s', async (text, redacted) => expect(await redactor.redactText(text)).toBe(redacted));

  test.each([
    'H₂O at 20℃ in 50㎡',
    'version №10.4.2.1',
    'order №4155552671',
    '①②③ in 1234567 ms²',
    'x²+4155552671y³',
  ])('harmless text stays: %s', async (text) => expect(await redactor.redactText(text)).toBe(text));
});

describe('a colon that touches ends the label', () => {
  test.each([
    ['IP:2001:db8::1', 'IP:<IP_ADDRESS>'],
    ['IPv6:2001:db8:85a3::8a2e:370:7334,', 'IPv6:<IP_ADDRESS>,'],
    ['interface:fe80::1%eth0', 'interface:<IP_ADDRESS>'],
    ['node:2001:db8::1', 'node:<IP_ADDRESS>'],
    ['IP：2001:db8::1。', 'IP：<IP_ADDRESS>。'],
    ['地址:2001:db8::1', '地址:<IP_ADDRESS>'],
    ['IP: ::ffff:192.0.2.1', 'IP: <IP_ADDRESS>'],
    ['IP.2001:db8::1.', 'IP.<IP_ADDRESS>.'],
    ['MAC:00:1B:44:11:3A:B7', 'MAC:<MAC_ADDRESS>'],
    ['mac：00:1B:44:11:3A:B7', 'mac：<MAC_ADDRESS>'],
    ['ether:00-1B-44-11-3A-B7', 'ether:<MAC_ADDRESS>'],
    ['IP:203.0.113.77:8080', 'IP:<IP_ADDRESS>:8080'],
    ['SSN:536-90-4399', 'SSN:<US_SSN>'],
    ['card:4111111111111111', 'card:<CREDIT_CARD>'],
  ])('%s', async (text, expected) => expect(await redactor.redactText(text)).toBe(expected));

  test.each(['01:00:1B:44:11:3A:B7', 'std::vector', 'a::b', '12:30:45', 'x:1:2', 'face:b00c'])(
    'no address in %s',
    async (text) => expect(await redactor.analyze(text)).toEqual([]),
  );
});

describe('a placeholder is not a context word for the next find', () => {
  test.each([
    ['203.0.113.77 version 1.2.3.4', '<IP_ADDRESS> version 1.2.3.4'],
    ['4111 1111 1111 1111 then 4222222222222', '<CREDIT_CARD> then 4222222222222'],
    ['phone: 4155552671 and 1008948180', 'phone: <PHONE_NUMBER> and 1008948180'],
  ])('%s', async (text, expected) => expect(await redactor.redactText(text)).toBe(expected));
});

describe('four numbers with points', () => {
  test.each([
    'edge 203.0.113.77',
    'the edge 198.51.100.23 is down',
    'after the upgrade 203.0.113.77 answers',
    'firmware 192.168.1.1',
    'upgrade 10.0.0.5 to the new kernel',
    'version 192.168.1.10',
    'rev 203.0.113.0/24',
    'release: 4.2.1.17:8080',
    'driver host 172.16.4.9',
    'Safari 203.0.113.9 - - [12/May]',
    'blocked from 203.0.113.17 to 203.0.113.90',
    'hosts 203.0.113.17-203.0.113.90',
    'firmware 203.0.113.17 to 203.0.113.90',
    '{"edge":"203.0.113.77","firmware":"192.168.1.1"}',
  ])('are an address by their form: %s', async (text) => {
    expect(await redactor.redactText(text)).not.toMatch(/\d\.\d/);
  });

  test.each([
    'version 1.2.3.4',
    'firmware 1.0.3.12',
    'upgrade to 4.2.8.15',
    'Chrome 120.0.0.0, Edge 121.0.0.0',
    'section 3.1.4.1',
    'upgrade from 4.2.1.17 to 4.2.1.18',
    'firmware 1.0.3.12 -> 1.0.4.2',
    'versions 1.0.3.12 through 1.0.4.2',
    'release 1.0.3.12–1.0.4.2',
    'the host version 2.0.1.1',
    '{"firmware":"1.4.20.1"}',
  ])('are a version by their word and their form: %s', async (text) => {
    expect(await redactor.analyze(text)).toEqual([]);
  });
});
