import { words, wordsOfKey } from '../context.ts';
import { placedPattern, type PlacedPattern } from '../places.ts';
import { anyOf, endWithOneOf, SEPARATORS, FOREIGN_PASSWORD_END, FOREIGN_TOKEN_END } from './foreign-names.ts';

/** The kind of secret that a name announces: machine-made, or chosen by a person. */
export type SecretKind = 'token' | 'password';

/** Whose keys are secrets: `api_key`, "access key". */
const KEY_OWNERS =
  'api access private master signing encryption account auth service license subscription shared'.split(' ');
const KEY = '[ _.-]?key';
/** Sources of patterns; a last letter may be one that is not always there. */
const NAMES =
  'token|secret|passphrase|password|passwort|passwd|passcode|passord|pass|pwd|credentials?|authorization|jsessionid|phpsessid|sessid|connect\\.sid|kennwort|contrasena|clave|senha|mot de passe|mdp|parola|parole|sifre|haslo|heslo|wachtwoord|adgangskode|salasana|kata sandi|lozinka|geslo|parool|salasona|fjalekalimi?|nenosiri|kata laluan|pasahitza|contrasenya|contrasinal|pasfhocal|parol|wagwoord|cyfrinair|pasvorto|kodeord|tunnussana|zaporka';

/** Of keys and tokens in languages that write them in ASCII, and one of a password. A space stands for any separator. */
const PHRASES = (
  'clave api,clave de api,clave secreta,clave privada,clave de acceso,chave api,chave de api,chave da api,chave secreta,chave privada,' +
  'chave de acesso,chiave api,chiave segreta,chiave privata,chiave di accesso,klucz api,tajny klucz,klucz prywatny,kunci api,' +
  'kunci rahasia,api sleutel,geheime sleutel,toegangssleutel,api nyckel,hemlig nyckel,api avain,salainen avain,api kulcs,titkos kulcs,' +
  'api anahtari,gizli anahtar,cheie api,cheia api,jeton,jeton api,token de acceso,token de acesso,token di accesso,token akses,palavra passe'
).split(',');
const PHRASE_END = endWithOneOf(PHRASES);

/** The ends of names of secrets, longer ones first; any text may precede them. */
export const NAME_ENDS: PlacedPattern = placedPattern(
  new RegExp(
    `secret${KEY}(?:[ _.-]?base)?|(?:${KEY_OWNERS.join('|')})${KEY}|${anyOf(PHRASES)}|${NAMES}`,
    'i',
  ),
);
/** Every match of {@link NAME_ENDS} begins with one of these, in any case. */
export const NAME_LITERALS: readonly string[] = [
  ...KEY_OWNERS.flatMap((owner) => ['', ' ', '_', '.', '-'].map((separator) => `${owner}${separator}key`)),
  ...PHRASES.flatMap((name) => {
    const [first = '', ...rest] = name.split(' ');
    return Array.from(SEPARATORS, (separator) => [first, ...rest.slice(0, 1)].join(separator));
  }),
  ...NAMES.split('|').map((name) => name.replace(/.\?$/, '').replaceAll('\\', '')),
];
/** They precede a credential without a separator (RFC 7235, 2.1). */
export const CREDENTIAL_SCHEMES: readonly string[] = ['bearer', 'token', 'basic'];
/** An ASCII text without one of these has no value that can be distinguished from a word. */
export const TELLING_CHARACTER: RegExp = /[\d=:@#$%^&*]/;

const TOKEN_END =
  /(?:token|secret|apikey|accesskey|secretkey|secretkeybase|privatekey|masterkey|signingkey|encryptionkey|accountkey|authkey|servicekey|licensekey|subscriptionkey|sharedkey|credential|credentials|authorization|jsessionid|phpsessid|sessid|connectsid)$/;
const PASSWORD_END =
  /(?:password|passwd|passwort|passphrase|passcode|pwd|kennwort|contrasena|senha|motdepasse|mdp|parola|sifre|haslo|heslo|wachtwoord|adgangskode|passord|salasana|parole|katasandi|lozinka|geslo|parool|salasona|fjalekalimi?|nenosiri|katalaluan|pasahitza|contrasenya|contrasinal|pasfhocal|parol|wagwoord|cyfrinair|pasvorto|kodeord|tunnussana|zaporka|palavrapasse)$/;
/** Names that are also words of prose: `pass` and `clave` count only as part of a longer name (`db_pass`). */
const AMBIGUOUS = words('pass clave');
/** `next_page_token`, `token_count`, `csrf_token` of a form is one that is used once; a design token is a colour. */
const HARMLESS = words(
  'count page next prev previous cursor continuation sync max min limit usage prompt completion input output cached total ' +
    'design syntax pad bos eos unk sep cls mask special stop public client-side per',
);
/** The name of a public key ends like that of a secret one where the word for "public" stands in the same word. */
const PUBLIC_KEY = /公[开開共用]?[密金][钥鑰]$/;
const NUMBERED = /\d{1,2}$/;

const KNOWN = new Map<string, SecretKind | undefined>();
const MOST_KNOWN = 2000;

/** {@link secretKind} of a JSON key, cached: the same few keys are used again and again. */
export function secretKindOfKey(key: string | undefined): SecretKind | undefined {
  if (key === undefined || key.length > 128) return undefined;
  if (KNOWN.has(key)) return KNOWN.get(key);
  const kind = secretKind(key);
  if (KNOWN.size < MOST_KNOWN) KNOWN.set(key, kind);
  return kind;
}

/** Whether the whole text under this key can be a secret; the key above may also have to be checked. */
export function isSecretKey(key: string): boolean {
  return secretKindOfKey(key) !== undefined || isPassKey(key);
}

/** `pass` is a password under a key of credentials only. */
export function isPassKey(key: string | undefined): boolean {
  return key?.length === 4 && key.toLowerCase() === 'pass';
}

/** The kind of secret that a key or a name in a text announces, if any. */
export function secretKind(name: string): SecretKind | undefined {
  if (name.length > 128) return undefined;
  const parts = [...wordsOfKey(name)];
  while (parts.length > 1 && /^\d{1,2}$/.test(parts[parts.length - 1] as string)) parts.pop();
  const last = (parts[parts.length - 1] ?? '').replace(NUMBERED, '');
  if (last === '' || parts.some((word) => HARMLESS.has(word))) return undefined;
  const joined = parts.join('').replace(NUMBERED, '');
  if (PUBLIC_KEY.test(joined)) return undefined;
  if (PASSWORD_END.test(joined) || FOREIGN_PASSWORD_END().test(joined)) return 'password';
  if (AMBIGUOUS.has(last)) return parts.length > 1 ? 'password' : undefined;
  if (/[a-z]{2,}pass$/.test(last) && /(?:db|smtp|user|mail|root|ftp|admin|sql|pg)pass$/.test(last))
    return 'password';
  if (TOKEN_END.test(joined) || PHRASE_END().test(joined) || FOREIGN_TOKEN_END().test(joined)) return 'token';
  // `password_confirmation`, `token_value`, `secret_current`
  return parts.length > 1 && /^(?:value|confirmation|confirm|current|previous|plain|old|new)$/.test(last)
    ? secretKind(parts.slice(0, -1).join(' '))
    : undefined;
}
