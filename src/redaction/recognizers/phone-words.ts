import { ASCII, words, wordsAfter, wordsBefore, wordsOfKey } from '../context.ts';
import { leadOf } from '../labels.ts';
import { latePattern } from '../late.ts';
import { ENDS_UNSPACED } from '../unspaced.ts';

const LATIN_CHARACTER = latePattern(String.raw`[\p{Script=Latin}\p{N}]`, 'u');

/** Latin words for a telephone or its messages, before a number or as a key. */
const LATIN = words(
  'phone phones telephone telephones tel tels tele telf tlf tfno mobile mobiles mob cell cells cellphone cellphones ' +
    'cellular fax faxes telefax faks telefaks whatsapp viber sms hotline helpline landline handy handynr handynummer ' +
    'mobil mobilnr mobilnummer mobiltelefon mobilni mobilní mobilny mobilný mobiltelefonszám portable móvil movil ' +
    'celular cellulare cel telefonino rufnummer rückruf phonenumber mobilenumber phoneno msisdn natel gsm cep ' +
    'komórka komórkowy komórki kom puhelin puhelinnumero matkapuhelin puh kännykkä sími símanúmer farsími tālrunis ' +
    'tālr mobilais mobilus ponsel hp telp telpon thoại sđt sdt simu fón guthán ffôn fono fone fones telemóvel ' +
    'telemovel mobiel mobiele gsmnummer telnr telno phonenum ph tél télécopie télécopieur mobilfunk festnetz festnetznummer durchwahl mobilszám bimbit mobitel',
);
/** Words that name the number and not the thing: they need no colon. */
const NUMBER_OF_PHONE = words(
  'tel tels tele telf tlf telp telnr telno fax faks telefax ph mob hp whatsapp handynr handynummer rufnummer mobilnr ' +
    'mobilnummer phonenumber mobilenumber phoneno phonenum msisdn sđt sdt cel tél festnetznummer durchwahl mobilszám puhelinnumero símanúmer gsmnummer ' +
    'тел моб τηλ κιν טל հեռ',
);
const LATIN_STEM = /^(?:t[eé]l[eé](?:f[oó]n|phon|foon|pon)|telefón)/;
/** Anywhere in words of other scripts: endings and compounds are written together. */
const STEMS = stems(
  // Chinese, Japanese, Korean
  '电话 電話 手机 手機 座机 座機 传真 傳真 联系方式 聯絡方式 热线 熱線 拨打 撥打 致电 致電 携帯 ケータイ ファックス ファクス ' +
    'スマホ スマートフォン フリーダイヤル テレフォン テレホン ホットライン 連絡先 直通 固话 固話 市话 市話 でんわ 전화 휴대폰 핸드폰 휴대 연락처 팩스 폰번호 ' +
    // Thai, Lao, Khmer, Burmese
    'โทร มือถือ เบอร์ แฟกซ์ ໂທ ເບີ ទូរស័ព្ទ ទូរសព្ទ ဖုန်း ' +
    // Arabic, Persian, Urdu, Hebrew
    'هاتف جوال موبايل تليفون تلفون محمول فاكس واتساب نقال تلفن موبایل همراه نمابر فون موبائل טלפון נייד פלאפון סלולרי פקס ' +
    // Hindi and other languages of India, Sinhala
    'फ़ोन फोन मोबाइल मोबाईल दूरभाष ফোন মোবাইল போன் தொலைபேசி மொபைல் கைபேசி அலைபேசி ஃபோன் ఫోన్ మొబైల్ ಫೋನ್ ದೂರವಾಣಿ ಮೊಬೈಲ್ ' +
    'ഫോൺ മൊബൈൽ ફોન મોબાઇલ ਫੋਨ ਫ਼ੋਨ ਮੋਬਾਈਲ ଫୋନ දුරකථන ' +
    // Cyrillic, Greek, Armenian, Georgian, Amharic
    'телефон мобильн мобільн мобілн мобилн мобилен сотов факс утас τηλέφων τηλεφων κινητό κινητο φαξ հեռախոս բջջային ტელეფონ მობილურ ስልክ',
);
/** Compounds with a word for telephone that name something else: a conference, a case, a model, an order. */
const THINGS = stems(
  '会议 會議 회의 手机壳 手機殼 ケース 케이스 型号 型號 机型 機種 모델 订单 訂單 주문 货号 운송장 电话卡 電話カード 전화카드 電話帳 전화번호부',
);
const SHORT_WORDS = words('тел моб сот τηλ κιν טל נייד հեռ ტელ მობ');

/** Whether a lower-case word names a telephone. */
function isPhoneWord(word: string): boolean {
  if (LATIN.has(word)) return true;
  if (ASCII.test(word)) return LATIN_STEM.test(word);
  const folded = word.normalize('NFKC');
  if (THINGS.test(folded)) return false;
  return LATIN.has(folded) || LATIN_STEM.test(folded) || SHORT_WORDS.has(folded) || STEMS.test(folded);
}

/** Words and keys that support a telephone number. */
export const PHONE_WORDS: { has(word: string): boolean } = { has: isPhoneWord };

/** "phone *number is* 415…", "tel*:* 415…": a phone as a thing ("the phone 1008948180") has none of these. */
const NUMBER_WORDS = words(
  'number numbers num no nr nummer numero número numéro numara numarası numarasi szám szam číslo cislo broj numer nomor ' +
    'số nambari namba raqami is at on to ist es est è é é jest är er on auf unter sous al',
);
const NUMBER_STEMS = stems(
  '号码 號碼 番号 番號 번호 номер рақам нөмір رقم شماره نمبر מספר नंबर नम्बर नंबर नम्बर संख्या নম্বর নাম্বার எண் నంబర్ నెంబర్ ಸಂಖ್ಯೆ ನಂಬರ್ ' +
    'നമ്പർ નંબર ਨੰਬਰ หมายเลข เบอร์ ເບີ ເລກ លេខ နံပါတ် αριθμός αριθμο համար ნომერ ቁጥር',
);
/** Words that ask a reader to call or write to the number after them. */
const VERBS = words(
  'call calls calling text texts texting ring dial reach contact message messages anrufen appeler appelez llame llamar ' +
    'chiamare chiama ligue bel bellen ringa ring',
);
const VERB_STEMS = stems('звони позвон дзвон تماس اتصل התקשר 拨打 致电');
/** After a number: "415-555-2671 (mobile)". */
const KINDS = words('office home work direct main cell mobile fax phone tel desk');
const CALLING =
  /\b(?:call|text|ring|phone|reach|dial|message|contact) (?:me|us|him|her|them|you)(?: back)? (?:at|on|under|via|using):? ?$/i;
/** Ten digits of a mobile in India or Russia, after a word in another script. */
const MOBILE = /^[6-9]\d{9}$/;
/**
 * Forms that ids do not have, so that the bare word is enough: numbers with a trunk prefix, mobiles of China and
 * Russia.
 */
const NATIONAL = /^(?:0[1-9]\d{7,9}|00[1-9]\d{8,12}|1[3-9]\d{9}|[78]9\d{9})$/;
/** "phone: …", "Phone # …", "[Phone] …", "--phone …", and "Phone – …" at the beginning of a line */
const ANNOUNCING = latePattern(
  String.raw`[:=]["'(*_ ]{0,4}$|#[: ]{0,3}$|\[[^[\]]{1,32}\][ \t]{0,3}$|(?:^|\s)--?[a-z][\w-]{1,32} ["']?$|^[^\p{L}]{0,4}[\p{L} ]{2,24} [-–—] $`,
  'u',
);
const SIGN = /[📞📱📲☎☏✆📠]\ufe0f?[: ]{0,3}$/u;
/** "my number is …" */
const OWN_NUMBER = /\b(?:my|his|her|their|our|your|new|old) number(?: is| was|:| to)? {0,2}$/i;

/** Whether the text before `start` announces a telephone number, so that any run of digits is one. */
export function isAnnouncedInText(text: string, start: number, digits: string): boolean {
  if (start === 0) return false;
  const before = leadOf(text, start).slice(-40);
  if (CALLING.test(before)) return true;
  if (OWN_NUMBER.test(before)) return NATIONAL.test(digits);
  // "📞 …" needs no word.
  if (SIGN.test(before)) return digits.length >= 8;
  // `电话13800138000`: a word that touches the number names it.
  let announced = ANNOUNCING().test(before) || ENDS_UNSPACED().test(before);
  const near = wordsBefore(text, start, 6);
  for (const [place, word] of near.slice(0, 4).entries()) {
    if (isPhoneWord(word)) {
      const isNamed = isNumberOfPhone(word) || near.slice(place + 1, place + 3).some(isNumberNoun);
      return announced || isNamed || NATIONAL.test(digits) || (MOBILE.test(digits) && !ASCII.test(word));
    }
    if (isVerb(word)) return NATIONAL.test(digits);
    if (!isNumberWord(word)) return false;
    announced = true;
  }
  return false;
}

/** Whether a telephone is mentioned near a number that is written like one. */
export function isMentioned(text: string, start: number, end: number): boolean {
  if (OWN_NUMBER.test(leadOf(text, start).slice(-40))) return true;
  const before = wordsBefore(text, start, 8);
  if (before.some((word, distance) => isPhoneWord(word) || (distance < 4 && isVerb(word)))) return true;
  const after = wordsAfter(text, end, 2);
  return after.length > 0 && (KINDS.has(after[0] as string) || isPhoneWord(after[0] as string));
}

/** `contactNumber`, `callback_no`, `caller_id`: no word for a telephone, but keys of telephone numbers. */
const CALLED =
  /^(?:emergency|primary|customer|daytime|evening|home|work)?(?:contact|callback|callers?)(?:number|num|no|id)$/;

/** Whether such a key labels a number that does not look like an order number. */
export function isCalledBy(key: string | undefined, digits: string): boolean {
  return key !== undefined && NATIONAL.test(digits) && CALLED.test(wordsOfKey(key).join(''));
}

/** Whether "call", "message to" and the like stand directly before. */
export function followsVerb(text: string, start: number): boolean {
  for (const word of wordsBefore(text, start, 3)) {
    if (isVerb(word)) return true;
    if (!NUMBER_WORDS.has(word)) return false;
  }
  return false;
}

/** Whether the word directly before or after a number names a telephone: `Tel.030…`, `…-Fax`. */
export function touchesPhoneWord(text: string, start: number, end: number): 'before' | 'after' | undefined {
  if (wordsBefore(text, start, 1).some(isPhoneWord)) return 'before';
  return wordsAfter(text, end, 1).some((word) => KINDS.has(word) || isPhoneWord(word)) ? 'after' : undefined;
}

function isNumberOfPhone(word: string): boolean {
  const folded = word.normalize('NFKC');
  return (
    NUMBER_OF_PHONE.has(folded) ||
    /n[uú]mm?er/.test(folded) ||
    (STEMS.test(folded) && NUMBER_STEMS.test(folded))
  );
}

/** "номер телефона", "número de teléfono" */
function isNumberNoun(word: string): boolean {
  return /^(?:n[uúº°]m|nomor|nº|no$|số$|szám)/.test(word) || NUMBER_STEMS.test(word.normalize('NFKC'));
}

function isVerb(word: string): boolean {
  return VERBS.has(word) || VERB_STEMS.test(word);
}

/** Short words of other scripts are particles and forms of "to be": は, 是, 는, это, है. */
function isNumberWord(word: string): boolean {
  if (NUMBER_WORDS.has(word) || NUMBER_STEMS.test(word.normalize('NFKC'))) return true;
  return word.length <= 3 && !LATIN_CHARACTER().test(word);
}

function stems(list: string): RegExp {
  return new RegExp([...new Set(list.normalize('NFKC').split(' '))].join('|'), 'u');
}
