import { words } from '../context.ts';
import { isReference, isStandIn } from './randomness.ts';
import { secretKind } from './secret-names.ts';
import { LETTER, latePattern } from '../late.ts';

const WORDS = latePattern(String.raw`^[\p{L}_ -]+$`, 'u');
const SYMBOL = latePattern(String.raw`[^\p{L}\p{N}'’.,:;!?()/_-]`, 'u');
const CAMEL = latePattern(String.raw`\p{Ll}\p{Lu}`, 'u');

/** The notation of a value: the less specific it is, the more the value has to look like a password. */
export type Style = 'quoted' | 'assigned' | 'command' | 'plain';

/** Words in the place of a password. */
const NO_PASSWORD = words(
  'true false null none nil undefined yes no on off required optional missing invalid incorrect wrong expired empty blank ' +
    'unset set hidden masked encrypted hashed plain plaintext string text str input varchar char bytes any object number ' +
    'boolean integer field label example sample test default unknown n/a na tbd todo same different weak strong short long ' +
    'correct valid changed reset updated forgotten lost protected secret password passwd pwd token key value here below above ' +
    'not the a an and or for with your my this that to of in is was will must should can cannot has have nullable bcrypt ' +
    'argon2 scrypt sha256 md5 readonly writeonly autocomplete current-password new-password minlength maxlength',
);

/** A password can be any text, so the notation decides how much the value has to look like one. */
export function isPassword(value: string, style: Style, name: string): boolean {
  if (value.length < 4 || value.length > 256 || isStandIn(value) || isReference(value)) return false;
  if (/\s/.test(value)) return style === 'quoted' && /phrase/i.test(name) && !/[.:]$/.test(value);
  const word = (value.split(/[|,:]/)[0] as string).toLowerCase().replace(/[.!?)\]}]+$/, '');
  if (NO_PASSWORD.has(word) || NO_PASSWORD.has(value.toLowerCase())) return false;
  // The label of a field in some language: "Passwort", "Contraseña".
  if (secretKind(value) !== undefined && WORDS().test(value)) return false;
  if (/^pwd$/i.test(name) && /^[/~]/.test(value)) return false; // the working directory
  if (style === 'quoted') return !/^\w+(?:\.\w+)+$/.test(value) || /\d/.test(value);
  if (style === 'assigned') return true;
  if (/^(?:19|20)\d\d-\d\d(?:-\d\d)?$/.test(value) || value.length < 6) return false;
  const hasDigit = /\d/.test(value);
  if (style === 'command') return hasDigit && LETTER().test(value);
  return hasDigit || SYMBOL().test(value) || CAMEL().test(value);
}

/** Whether several words are a password where nothing else can stand: not a stand-in, nor only words of forms. */
export function isPassPhrase(value: string): boolean {
  if (value.length > 256 || isStandIn(value)) return false;
  const parts = value.trim().split(/\s+/);
  return !isReference(parts[0] as string) && parts.some((word) => !NO_PASSWORD.has(word.toLowerCase()));
}
