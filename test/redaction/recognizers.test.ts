import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/redaction/index.ts';

const redactor = createRedactor();

/** The text with what was found in double brackets, and what it was found to be. */
async function finds(marked: string): Promise<{ marked: string; entities: string[] }> {
  const text = marked.replaceAll('[[', '').replaceAll(']]', '');
  const found = await redactor.analyze(text);
  let shown = '';
  let done = 0;
  for (const { start, end } of found) {
    shown += `${text.slice(done, start)}[[${text.slice(start, end)}]]`;
    done = end;
  }
  return {
    marked: shown + text.slice(done),
    entities: [...new Set(found.map((result) => result.entityType))],
  };
}

describe('e-mail addresses', () => {
  test.each([
    'Write to [[jane.roe@acme.com]].',
    '<[[jane@acme.co.uk]]>, "[[o\'brien+tag@sub.acme.io]]"',
    "'[[jane@acme.com]]'",
    'mailto:[[jane@acme.com]]?subject=hi',
    'to=[[jane@acme.com]]&cc=[[joe@acme.org]]',
    '[[jöhn@exämple.com]] [[用户@例子.公司]] [[jane@xn--exmple-cua.com]]',
    '联系[[jane@acme.com]]谢谢',
    'first [[a@acme.com]],[[b@acme.com]];[[c@acme.com]]',
    'Co-authored-by: Jane <[[jane@users.noreply.github.com]]>',
    'ends with a sentence [[jane@acme.com]].Thanks',
    '[[jane@acme.co.uk]]-verified, [[jane@my.com-pany.org]]',
    '[[jane@163.com]] [[jane@acme.test]] [[jane@mail.internal]]',
    'full width [[ｊａｎｅ＠ａｃｍｅ．ｃｏｍ]] and hidden [[ja\u200bne@ac\u00adme.com]]',
    'escaped once too often: mail\\n[[jane@acme.com]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['EMAIL_ADDRESS'] }));

  test.each([
    'icon@2x.png icon@3x.webp sprite@2x.ai',
    'npm i @types/node@18.0.0 lodash@4.17.21 react@18.2.0-beta.rc',
    'git clone git@github.com:org/repo.git',
    'ssh://git@github.com/org/repo',
    'scp deploy@server.acme.com:/var/www/x deploy@server.acme.com:www/x',
    '@jane and jane@ and @acme.com and a @ b.com',
    'user@localhost x@1.2.3 foo@bar.baz',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('obfuscated addresses, when asked for', () => {
  const open = createRedactor({ decode: ['percent', 'obfuscated'] });
  test.each([
    ['jane [at] acme [dot] com', '<EMAIL_ADDRESS>'],
    ['write to jane.roe(at)acme.com, please', 'write to <EMAIL_ADDRESS>, please'],
    ['jane {at} mail {dot} acme {dot} co {dot} uk.', '<EMAIL_ADDRESS>.'],
    ['jane AT acme DOT org', '<EMAIL_ADDRESS>'],
    ['jane at acme dot com', '<EMAIL_ADDRESS>'],
    ['jo at ab dot io', '<EMAIL_ADDRESS>'],
    ['jane<at>acme<dot>de', '<EMAIL_ADDRESS>'],
    ['jane_at_acme_dot_com', '<EMAIL_ADDRESS>'],
    ['jane @ acme . com and jane (ä) acme (punkt) de', 'jane @ acme . com and jane (ä) acme (punkt) de'],
    ['jane [@] acme.com or jane (arroba) acme (punto) es', '<EMAIL_ADDRESS> or <EMAIL_ADDRESS>'],
    ['联系jane(at)acme.com谢谢', '联系<EMAIL_ADDRESS>谢谢'],
  ])('%s', async (text, expected) => {
    expect(await open.redactText(text)).toBe(expected);
    expect(await redactor.redactText(text)).toBe(text);
  });

  test.each([
    'meet me at acme.com today',
    'look at example.com and at [dot] notation',
    'dinner (at 8) in the evening, f(a).b',
    'x (at) y',
    'array[a].com',
  ])('not in: %s', async (text) => expect(await open.redactText(text)).toBe(text));
});

describe('payment cards', () => {
  test.each([
    'Visa [[4111 1111 1111 1111]] exp 12/27',
    '[[4111-1111-1111-1111]], [[5555555555554444]], [[2223003122003222]]',
    'amex [[3782 822463 10005]] and [[371449635398431]]',
    'diners [[30569309025904]], jcb [[3530111333300000]], discover [[6011000990139424]]',
    'unionpay [[6200000000000005]], maestro [[6304000000000000]]',
    'card: [[4222222222222]]',
    'UATP card [[122000000000003]]',
    'card number is [[6304123456789012347]]',
    '[[4111 1111 1111 1111]] 12/27 123',
    'card full width: [[４１１１　１１１１　１１１１　１１１１]]',
    'dots [[4111.1111.1111.1111]]',
    'account,[[4111111111111111]],active',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['CREDIT_CARD'] }));

  test.each([
    '4111 1111 1111 1112',
    'order 4111111111111111 and ref: 5555555555554444',
    'unix ms 1748503543012, snowflake 1262139877000000004',
    '4222222222222 and 122000000000003',
    'ISBN 978-3-16-148410-0, GTIN 4006381333931, IMEI 490154203237518',
    'credit_card_4111111111111111 x4111111111111111 4111111111111111px',
    '0.4111111111111111 and 4111111111111111.25',
    '550e8400-e29b-4111-1111-111111111111',
    '0000000000000000 1111111111111111',
    'by card for 140430627442',
    '1  5.5  6.1 787252 247004 ?',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('IBANs', () => {
  test.each([
    'IBAN [[DE89370400440532013000]]',
    'IBAN[[DE89370400440532013000]]',
    '[[DE89 3704 0044 0532 0130 00]] 2 days',
    '[[de89 3704 0044 0532 0130 00]]',
    'to [[GB29NWBK60161331926819]], [[FR1420041010050500013M02606]], [[NO93 8601 1117 947]].',
    '[[MT84MALT011000012345MTLCAST001S]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['IBAN_CODE'] }));

  test.each([
    'DE88370400440532013000',
    'XX89370400440532013000',
    'DE8937040044053201300',
    'DE893704004405320130001',
    'aDE89370400440532013000',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('IP addresses', () => {
  test.each([
    'from [[192.168.0.1]], [[8.8.8.8]]:53 and http://[[10.0.0.7]]/x',
    '[[10.0.0.0]]/8 to [[172.16.0.1]]-[[172.16.0.9]].',
    '[[2001:db8:85a3::8a2e:370:7334]] and [[fe80::1%eth0]]',
    'http://[[[2001:db8::1]]]:8080/ and [[::1]] and [[::ffff:192.0.2.1]]',
    '[[2001:0db8:0000:0000:0000:ff00:0042:8329]]',
    'ip: [[a::b]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['IP_ADDRESS'] }));

  test.each([
    'version 1.2.3.4, v1.2.3.4, Chrome/120.0.0.0, section 1.2.3.4',
    '256.1.1.1 1.2.3 1.2.3.4.5 01.02.03.04 1.2.3.4-beta x1.2.3.4',
    'std::vector<a::b> Dead::Beef list[1::2] list[::2] 12:30:45',
    '1:2:3 10:20 "key: value" :: 0.0.0.0',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('US social security numbers', () => {
  test.each([
    'SSN [[536-90-4399]]',
    'is [[536-90-4399]] right?',
    'social security number: [[536 90 4399]]',
    'ssn=[[536904399]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['US_SSN'] }));

  test.each([
    'SSN 666-00-0000, 000-12-3456, 900-12-3456, 536-00-4399, 536-90-0000',
    '536904399 and 536 90 4399',
    'order 536-90-4399-1, part no 536-90-4399',
    '2024-536-90-4399',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('telephone numbers', () => {
  test.each([
    'call [[+1 415 555 2671]] or [[+44 20 7946 0958]] or [[+49 (0)30 1234567]]',
    '[[+4915112345678]], [[+1-415-555-2671]], [[+1 (415) 555-2671 ext. 12]]',
    '[[(415) 555-2671]] and [[415-555-2671]] and [[1-800-555-0199]]',
    'office [[415.555.2671]], home [[415 555 2671]]',
    '[[020 7946 0958]], [[07911 123456]], [[0171/1234567]], [[01 23 45 67 89]], [[00 44 20 7946 0958]]',
    'phone: [[4155552671]], tel. no. [[5552671]], my mobile number is [[0612345678]]',
    'Call me at [[4155552671]].',
    'full width [[＋４４ ２０ ７９４６ ０９５８]]',
    '[[415-555-2671]] / [[415-555-2672]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['PHONE_NUMBER'] }));

  test.each([
    'order 4155552671, 1008948180, 102130384546 and #W1006327',
    'the phone 1008948180 and the phone case 2052249669',
    'call 1008948180 contact 2052249669',
    'on 2024-01-15 12:30, 15.01.2024 10, 2024/01/15, 1970-01-01 00',
    'unix 1748503543 and 1748503543012, +100 000 000, +5, 3+4155552671',
    'order no 415-555-2671, isbn 978-3-16-148410-0, $415 555 2671',
    '110bcd25-a55d-453a-8046-1297901ea002 hosted-eu-20260812-09 build-415-555-2671',
    '192.168.100.200 1.2.3 10,000,000 555-2671',
  ])('not in: %s', async (text) => {
    const { entities } = await finds(text);
    expect(entities.filter((entity) => entity === 'PHONE_NUMBER')).toEqual([]);
  });

  test('under a phone key, not under the key of an id', async () => {
    const json = JSON.stringify({ phone: '4155552671', phone_id: '4155552671', mobileNumber: 4155552671 });
    expect(await redactor.redactText(json)).toBe(
      JSON.stringify({ phone: '<PHONE_NUMBER>', phone_id: '4155552671', mobileNumber: '<PHONE_NUMBER>' }),
    );
  });
});

describe('addresses of machines', () => {
  test.each([
    'eth0 [[00:1A:2B:3C:4D:5E]]',
    '[[00-1a-2b-3c-4d-5e]]',
    '[[001a.2b3c.4d5e]]',
    'mac: [[0011.2233.4455]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['MAC_ADDRESS'] }));

  test.each([
    '00:00:00:00:00:00 ff:ff:ff:ff:ff:ff',
    '0011.2233.4455',
    '00:1A:2B:3C:4D',
    '12:30:45:10:20:30:40',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));

  test('URLs are found when asked for', async () => {
    const urls = createRedactor({ entities: ['URL'] });
    expect(await urls.redactText('see https://acme.com/a?b=c, or (http://x.test/).')).toBe(
      'see <URL>, or (<URL>).',
    );
    expect(await redactor.redactText('see https://acme.com/a?b=c')).toBe('see https://acme.com/a?b=c');
  });
});

describe('crypto addresses', () => {
  test.each([
    '[[1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa]] [[3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy]]',
    '[[bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4]]',
    '[[bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0]]',
    '[[0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed]] [[0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed]]',
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['CRYPTO'] }));

  test.each([
    '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD 5aaeb6053f3e94c9b9a09f33669435e7ef1beaed',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));
});

describe('tokens, private keys and passwords', () => {
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U';
  const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----';
  test.each([
    [`cookie=[[${jwt}]]; x`, 'JWT'],
    [`key:\n[[${pem}]]\nthen`, 'PRIVATE_KEY'],
    [`[[${pem.replaceAll('\n', '\\n')}]]`, 'PRIVATE_KEY'],
    ['[[-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq]]', 'PRIVATE_KEY'],
    ['postgres://app:[[s3cr3t]]@db.acme.com:5432/x', 'PASSWORD_IN_URL'],
    ['https://:[[hunter2]]@acme.com', 'PASSWORD_IN_URL'],
  ])('%s', async (marked, entity) => expect(await finds(marked)).toEqual({ marked, entities: [entity] }));

  test.each(['-----BEGIN PUBLIC KEY-----', 'eyJ.eyJ.x', 'http://acme.com:8080/a@b', 'see 10:30 @ noon'])(
    'not in: %s',
    async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }),
  );
});

describe('identity numbers of countries', () => {
  const national = createRedactor({
    entities: [],
    countries: ['AU', 'DE', 'ES', 'GB', 'IN', 'IT', 'PL', 'US'],
  });
  test.each([
    ['ITIN 912-70-1234', 'US_ITIN'],
    ['patient 943 476 5919', 'UK_NHS'],
    ['NHS number: 9434765919', 'UK_NHS'],
    ['AB123456C', 'UK_NINO'],
    ['12345678Z', 'ES_NIF'],
    ['X1234567L', 'ES_NIE'],
    ['RSSMRA85T10A562S', 'IT_FISCAL_CODE'],
    ['Steuer-ID 86095742719', 'DE_TAX_ID'],
    ['PESEL 44051401359', 'PL_PESEL'],
    ['2341 2341 2346', 'IN_AADHAAR'],
    ['tax file number 123 456 782', 'AU_TFN'],
  ])('%s is %s', async (text, entity) => {
    expect((await national.analyze(text)).map((result) => result.entityType)).toEqual([entity]);
  });

  test.each([
    'ITIN 912-49-1234',
    'NHS number: 9434765918',
    'AB123456E QQ123456C GB123456A',
    '12345678A X1234567A',
    'RSSMRA85T10A562T',
    'Steuer-ID 86095742718',
    'PESEL 44051401358',
    '2341 2341 2347',
    'tfn 123 456 789',
    'order 9434765919, 86095742719, 44051401359, 234123412346, 123456782',
  ])('none in: %s', async (text) => expect(await national.analyze(text)).toEqual([]));

  test('are off by default and enabled by name', async () => {
    expect(await redactor.analyze('12345678Z')).toEqual([]);
    expect(await createRedactor({ entities: ['ES_NIF'] }).analyze('12345678Z')).toHaveLength(1);
  });
});

describe('API keys', () => {
  const body = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0';
  test.each([
    `OPENAI_API_KEY=[[sk-proj-${body}T3BlbkFJ${body}]]`,
    `hub [[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]]`,
    `[[sk-ant-api03-${body}-${body}AA]]`,
    'aws [[AKIAIOSFODNN7ABCDEFG]]',
    `git clone https://[[ghp_${body.slice(0, 36)}]]@github.com/o/r`,
    `[[github_pat_${body}]], [[glpat-${body.slice(0, 20)}]], [[npm_${body.slice(0, 36)}]]`,
    `[[xoxb-123456789012-${body.slice(0, 24)}]]`,
    `key=[[AIza${body.slice(0, 35)}]]`,
    `[[sk_live_${body.slice(0, 24)}]], [[hf_${body.slice(0, 34)}]], [[SG.${body.slice(0, 22)}.${body}]]`,
    `Authorization: Bearer [[${body}]]`,
    `api_key = "[[${body}]]"`,
    `client secret: [[${body}]]`,
  ])('%s', async (marked) => expect(await finds(marked)).toEqual({ marked, entities: ['API_KEY'] }));

  test.each([
    'sk-xxxxxxxxxxxxxxxxxxxxxxxx YOUR_API_KEY_HERE api_key=YOUR_API_KEY_HERE_PLEASE',
    'sk-learn-something-that-is-long',
    'hf_TransformersTokenizerFastAutoModelForCausalLM',
    'token count: 12345678901234567890',
    'd41d8cd98f00b204e9800998ecf8427e and 110bcd25-a55d-453a-8046-1297901ea002',
  ])('not in: %s', async (text) => expect(await finds(text)).toEqual({ marked: text, entities: [] }));

  test('a value under a secret key is a secret, under a page token it is not', async () => {
    expect(await redactor.redactText(JSON.stringify({ apiKey: body, next_page_token: body }))).toBe(
      JSON.stringify({ apiKey: '<API_KEY>', next_page_token: body }),
    );
  });
});
