import examples from 'libphonenumber-js/examples.mobile.json' with { type: 'json' };
import * as phone from 'libphonenumber-js/max';
import { describe, expect, test } from 'vitest';
import { createRedactor, phoneNumberRecognizer } from '../../src/redaction/index.ts';

// The example number of each region of libphonenumber, as people write it, in sentences and under words of many languages.

const redactor = createRedactor();

interface Example {
  readonly region: phone.CountryCode;
  readonly forms: Readonly<Record<string, string>>;
}

const EXAMPLES: readonly Example[] = phone.getCountries().flatMap((region) => {
  const number = phone.getExampleNumber(region, examples);
  if (number === undefined) return [];
  const international = number.formatInternational();
  const national = number.formatNational();
  const forms = {
    'E.164': number.number,
    international,
    hyphens: international.replaceAll(' ', '-'),
    points: international.replaceAll(' ', '.'),
    brackets: `(+${number.countryCallingCode}) ${international.replace(/^\+\d+ /, '')}`,
    '00': international.replace('+', '00'),
    '00 apart': international.replace('+', '00 '),
    national,
    bare: number.nationalNumber,
  };
  return [{ region, forms }];
});

/** The part of the regions whose number is found whole when it is written so. */
async function recall(form: string, sentence: string): Promise<number> {
  let found = 0;
  for (const { forms } of EXAMPLES) {
    const value = forms[form] as string;
    const start = sentence.indexOf('…');
    const finds = await redactor.analyze(sentence.replace('…', value));
    if (finds.some((find) => find.start <= start + 1 && find.end >= start + value.length)) found++;
  }
  return found / EXAMPLES.length;
}

test('there are examples of nearly all regions', () => expect(EXAMPLES.length).toBeGreaterThan(230));

describe('numbers with a calling code, of all regions', () => {
  const forms = ['E.164', 'international', 'hyphens', 'points', 'brackets', '00', '00 apart'];
  test.each(forms)(
    'written with %s: found by themselves, after a label that touches and before one',
    async (form) => {
      for (const sentence of [
        '…',
        'write to … or come',
        'Tel.…',
        'fax:…',
        '…-Fax',
        '…/mobile',
        '电话…。',
        '번호는 …입니다',
      ]) {
        expect({ form, sentence, isMost: (await recall(form, sentence)) >= 0.98 }).toEqual({
          form,
          sentence,
          isMost: true,
        });
      }
    },
    60_000,
  );
});

describe('national numbers of all regions after a word for telephone', () => {
  test.each([
    'Phone: …',
    'my phone number is …',
    'Can someone call me on …?',
    'Tel. …',
    'Telefon: …',
    'Telefonnummer …',
    'Téléphone : …',
    'teléfono: …',
    'telefone: …',
    'numer telefonu: …',
    'puhelin: …',
    'telefonszám: …',
    'Điện thoại: …',
    'nomor HP: …',
    'cep: …',
    '电话：…',
    '联系电话…',
    '手机号是…',
    '電話番号は…です',
    '携帯：…',
    'スマホ：…',
    'フリーダイヤル…',
    '連絡先：…',
    '固话：…',
    'мобільний: …',
    'tél : …',
    'Durchwahl: …',
    'mobilszám: …',
    'telefon raqami: …',
    '전화번호는 …입니다',
    '연락처: …',
    'телефон: …',
    'номер телефона …',
    'τηλέφωνο: …',
    'هاتف: …',
    'رقم الجوال: …',
    'تلفن: …',
    'טלפון: …',
    'फ़ोन: …',
    'मोबाइल नंबर …',
    'ফোন: …',
    'தொலைபேசி: …',
    'เบอร์โทร …',
    'ໂທ: …',
    'ទូរស័ព្ទ៖ …'.replace('៖', ':'),
    'ဖုန်း: …',
    'ტელეფონი: …',
    'հեռախոս: …',
    'ስልክ: …',
  ])(
    '%s',
    async (sentence) => {
      expect(await recall('national', sentence)).toBeGreaterThanOrEqual(0.95);
      expect(await recall('bare', sentence)).toBeGreaterThanOrEqual(0.85);
    },
    60_000,
  );

  test.each([
    'phone',
    'mobileNumber',
    '电话',
    '手机号',
    '電話番号',
    '전화번호',
    'телефон',
    'هاتف',
    'फ़ोन',
    'โทรศัพท์',
  ])(
    'under the JSON key %s',
    async (key) => {
      for (const recognizers of [[], [phoneNumberRecognizer({ library: phone, defaultCountry: 'US' })]]) {
        const under = createRedactor({ recognizers });
        const missed: string[] = [];
        for (const { region, forms } of EXAMPLES) {
          const text = await under.redactText(JSON.stringify({ [key]: forms['bare'] }));
          if (text !== JSON.stringify({ [key]: '<PHONE_NUMBER>' })) missed.push(region);
        }
        // Islands whose numbers have four and five digits.
        expect(missed.length).toBeLessThan(8);
      }
    },
    60_000,
  );
});

describe('keys that name the purpose of a number', () => {
  const argumentsWith = async (key: string, value: string): Promise<string> => {
    const call = {
      type: 'function_call',
      callId: 'c',
      name: 'f',
      arguments: JSON.stringify({ [key]: value }),
    } as const;
    const { items } = await redactor.redactItems([call]);
    return (items[0] as typeof call).arguments;
  };

  test.each([
    'contactNumber',
    'contact_no',
    'emergency_contact_number',
    'callback-number',
    'callerId',
    'caller_num',
  ])('a national number under %s is found', async (key) => {
    for (const number of ['09171234567', '13800138000', '0821234567']) {
      expect(await argumentsWith(key, number)).toBe(JSON.stringify({ [key]: '<PHONE_NUMBER>' }));
    }
  });

  test.each([
    ['callerId', '4f9a1c20'],
    ['contact_no', '100042'],
    ['contactNumber', 'none'],
    ['orderNumber', '09171234567'],
    ['recall_number', '09171234567'],
  ])('%s with %s stays', async (key, value) => {
    expect(await argumentsWith(key, value)).toBe(JSON.stringify({ [key]: value }));
  });
});

describe('numbers of six digits', () => {
  test.each(['AD', 'GL', 'FO', 'NC', 'WF'] as const)(
    'of %s are found by its numbering plan',
    async (region) => {
      const library = phone;
      const withPlan = createRedactor({
        recognizers: [phoneNumberRecognizer({ library, defaultCountry: region })],
      });
      const number = phone.getExampleNumber(region, examples)?.formatNational() as string;
      expect(number.replace(/\D/g, '')).toHaveLength(6);
      const grouped = number.replace(/\D/g, '').replace(/(\d\d)(\d\d)(\d\d)/, '$1 $2 $3');
      expect(await withPlan.redactText(`the office is ${grouped} today`)).toBe(
        'the office is <PHONE_NUMBER> today',
      );
      expect(await withPlan.redactText(`phone: ${number}`)).toBe('phone: <PHONE_NUMBER>');
    },
  );
});

describe('groups of digits near words about telephones', () => {
  test.each([
    'I would like to stop receiving messages to [[468 06 892]]',
    'You can call [[06-28-79-64-82]].',
    'my registered mobile [[0688 872 49 99]] gets none',
    '[[440 1923 55]] (mobile)',
    'Jane Roe\n12 High Street\n[[(0115) 496 0123]] office',
    '[[001-163-555-1234x123]] and [[+1-163-555-1234]]',
    '[[8 (912) 345-67-89]] and [[138 0013 8000]] and [[(11) 91234-5678]]',
    '[[0151 12345678]], [[02 123 45 67]], [[09-7625400]], [[01.42.68.53.00]]',
    '[[415-555-2671]] [[415-555-2672]]',
    '[[(415) 555-2671]] [[(415) 555-2672]]',
    '[[+44 20 7946 0958]] 2024-01-15',
    'my number is [[0612345678]]',
    '[[011 44 20 7946 0958]] or [[0011 44 20 7946 0958]]',
    'मोबाइल [[9876543210]], телефон [[9161234567]]',
    'Phone # [[4155552671]], [Tel] [[4155552671]], 📞 [[4155552671]], ☎️ [[4155552671]]',
    'Phone – [[4155552671]]',
    'notify --phone [[4155552671]] --now',
    'phone: |\n  [[4155552671]]\n',
    '手机号[[12345678901]]，电话[[12345678]]',
  ])('%s', async (marked) => {
    const text = marked.replaceAll('[[', '').replaceAll(']]', '');
    let shown = text;
    for (const { start, end } of [...(await redactor.analyze(text))].toReversed()) {
      shown = `${shown.slice(0, start)}[[${shown.slice(start, end)}]]${shown.slice(end)}`;
    }
    expect(shown).toBe(marked);
  });

  test.each([
    'call for papers 2024-2025',
    'reach 10000-20000 people, call 5 000 000 people',
    'mobile location 52.5200 13.4050',
    'I will call on 12.05.24 10.30 or text on 12/05/2024 10-12',
    'the phone costs 1 299 000 roubles, the handy 1.299.000',
    'text 978-3-16-148410-0 to me',
    'score 0.912-0.934 on mobile',
    'the phone 1008948180 and the phone case 2052249669',
    'телефон 1008948180 сломан',
    'order 00340434161094042557 and EAN 0049000042566',
    'id 0012345678901 and 00123456789',
    '00 20 33 45 12 34 56 78 90',
    'contact hours 1000-1400',
    'LATIN SMALL LETTER S; 0073 0329; 0069 0307 0301',
    'took 002.113936031 seconds',
    'phone model 12-345-678',
    'message 12 of 14: 10-20-30',
    '电话会议12345678，手机壳12345678，手机型号：12345678，电话订单12345678',
    '휴대폰케이스 12345678, 携帯ケース12345678, スマホケース12345678',
    'order #4155552671, [order] 4155552671, --count 4155552671, Order – 4155552671',
    'type: |\n  4155552671\n',
  ])('not in: %s', async (text) => {
    const finds = await redactor.analyze(text);
    expect(finds.filter(({ entityType }) => entityType === 'PHONE_NUMBER')).toEqual([]);
  });
});
